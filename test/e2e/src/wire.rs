//! A wire between the operator and the API server that can go dead, as a firewall lets it that forgets connections:
//! nobody closes anything, and what is sent gets no answer. TLS goes through it untouched.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The wire. It carries until the executor ends.
pub struct Wire {
    /// With which a client gets here.
    pub kubeconfig: PathBuf,
    /// How often connections went dead.
    cuts: watch::Sender<usize>,
}

impl Wire {
    /// Listens, and carries to the server of the operator's kubeconfig, which is in `workdir`.
    pub async fn start(workdir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let here = listener.local_addr().expect("an address");
        let usual = std::fs::read_to_string(workdir.join("operator.kubeconfig")).expect("its kubeconfig");
        let (_, server) = usual.split_once("server: https://").expect("a server");
        let server = server.lines().next().unwrap_or_default().to_owned();
        let kubeconfig = workdir.join(format!("wire-{}.kubeconfig", here.port()));
        std::fs::write(&kubeconfig, usual.replace(&server, &here.to_string())).expect("a file");
        let (cuts, cut) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if let Ok(far) = TcpStream::connect(&server).await {
                    carry(near, far, cut.clone());
                }
            }
        });
        Self { kubeconfig, cuts }
    }

    /// What is connected now goes dead, for good. New connections are none the worse.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

fn carry(near: TcpStream, far: TcpStream, mut cut: watch::Receiver<usize>) {
    cut.mark_unchanged();
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    tokio::spawn(one_way(from_near, to_far, cut.clone()));
    tokio::spawn(one_way(from_far, to_near, cut));
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut cut: watch::Receiver<usize>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut is_dead = false;
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => match read? {
                // The far end of a dead wire does not learn that the near one has gone.
                0 if is_dead => std::future::pending().await,
                0 => return Ok(()),
                _ if is_dead => {}
                n => to.write_all(&buffer[..n]).await?,
            },
            Ok(()) = cut.changed(), if !is_dead => is_dead = true,
        }
    }
}
