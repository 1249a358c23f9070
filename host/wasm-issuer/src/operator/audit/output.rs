//! Where the audit is written: stdout, or a file that others may move away meanwhile.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Stdout, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tracing::warn;

/// Takes whole lines, one after the other.
pub trait Output: Send {
    /// Write a line, with its end. After an error the same line is to be written again: what of it was written counts.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()>;

    /// Somebody may have moved away what is written to.
    fn reopen(&mut self) {}
}

/// Open what `--audit` names: `-` is stdout.
pub fn open(name: &Path) -> io::Result<Box<dyn Output>> {
    if name == Path::new("-") {
        return Ok(Box::new(Stream { to: io::stdout(), done: 0 }));
    }
    Ok(Box::new(LogFile::open(name)?))
}

struct Stream {
    to: Stdout,
    done: usize,
}

impl Output for Stream {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        write_rest(&mut self.to, line, &mut self.done)?;
        self.to.flush()
    }
}

/// A file that grows at its end.
struct LogFile {
    path: PathBuf,
    file: File,
    /// How much of the current line is written.
    done: usize,
    /// Whether somebody was told that it cannot be opened again.
    told: bool,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: append_to(path)?, done: 0, told: false })
    }

    /// Whether the path leads somewhere else by now, or nowhere.
    fn was_moved(&self) -> bool {
        let identity = |found: Metadata| (found.dev(), found.ino());
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(open)) => identity(there) != identity(open),
            (Err(error), _) => error.kind() == ErrorKind::NotFound,
            _ => false,
        }
    }
}

impl Output for LogFile {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.was_moved() {
            self.reopen();
        }
        write_rest(&mut self.file, line, &mut self.done)
    }

    fn reopen(&mut self) {
        match append_to(&self.path) {
            Ok(file) => {
                (self.file, self.told) = (file, false);
                // A line that was begun in the old file is whole in the new one.
                self.done = 0;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    warn!(path = %self.path.display(), %error, "--audit: the file cannot be opened again; the one that is open is written on");
                }
            }
        }
    }
}

/// Open a file to append whole lines to it. Others than the user that runs the operator cannot read one that is created.
fn append_to(path: &Path) -> io::Result<File> {
    // To open anything else, such as a pipe, may take for ever.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    let mut file = OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(path)?;
    // What a process that died wrote last may have no end.
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Write what is left of a line after `done` bytes of it.
fn write_rest(to: &mut impl Write, line: &[u8], done: &mut usize) -> io::Result<()> {
    while let Some(rest) = line.get(*done..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => *done += written,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    *done = 0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn lines(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn lines_go_to_the_end_of_a_file_that_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        open(&path).unwrap().write_line(b"one\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "one\ntor").unwrap();
        open(&path).unwrap().write_line(b"two\n").unwrap();
        assert_eq!(
            lines(&path),
            "one\ntor\ntwo\n",
            "what a process that died left behind is a line of its own"
        );
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("audit"), folder.path().join("audit.1"));
        let mut audit = open(&path).unwrap();
        audit.write_line(b"one\n").unwrap();
        fs::rename(&path, &old).unwrap();
        audit.write_line(b"two\n").unwrap();
        // As logrotate does with `create`.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        audit.write_line(b"three\n").unwrap();
        assert_eq!((lines(&old).as_str(), lines(&path).as_str()), ("one\n", "three\n"));
        fs::remove_file(&path).unwrap();
        audit.reopen();
        assert_eq!(lines(&path), "", "at once, though nothing is written");
        // And with `copytruncate`.
        audit.write_line(b"four\n").unwrap();
        fs::write(&path, "").unwrap();
        audit.write_line(b"five\n").unwrap();
        assert_eq!(lines(&path), "five\n");
    }

    #[test]
    fn a_folder_that_is_gone_costs_no_line_of_the_file_that_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let (within, kept) = (folder.path().join("within"), folder.path().join("kept"));
        fs::create_dir(&within).unwrap();
        let mut audit = open(&within.join("audit")).unwrap();
        fs::rename(&within, &kept).unwrap();
        audit.write_line(b"one\n").unwrap();
        assert_eq!(lines(&kept.join("audit")), "one\n");
        fs::rename(&kept, &within).unwrap();
        audit.write_line(b"two\n").unwrap();
        assert_eq!(lines(&within.join("audit")), "one\ntwo\n");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(open(folder.path()).err().unwrap().to_string(), "it is no file");
        assert_eq!(open(Path::new("/dev/null")).err().unwrap().to_string(), "it is no file");
        assert_eq!(open(&folder.path().join("none/audit")).err().unwrap().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_line_that_was_written_in_part_is_finished() {
        /// Takes three bytes, then nothing, then the rest.
        struct Full(Vec<u8>, usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 += 1;
                match self.1 {
                    2 => Err(ErrorKind::StorageFull.into()),
                    _ => self.0.write(&bytes[..bytes.len().min(3)]),
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut to, mut done) = (Full(vec![], 0), 0);
        let full = write_rest(&mut to, b"a line\n", &mut done).unwrap_err();
        assert_eq!((full.kind(), done), (ErrorKind::StorageFull, 3));
        write_rest(&mut to, b"a line\n", &mut done).unwrap();
        assert_eq!((to.0.as_slice(), done), (&b"a line\n"[..], 0));
    }
}
