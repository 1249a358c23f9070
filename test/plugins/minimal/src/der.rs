//! As much DER (X.690) and PEM as a certificate needs.

/// A tag, a length, and the parts one after the other.
pub fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let bytes = length.to_be_bytes();
    let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    if length >= 0x80 {
        out.push(0x80 | significant.len() as u8);
        out.extend(significant);
    } else {
        out.push(length as u8);
    }
    parts.iter().for_each(|part| out.extend(*part));
    out
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(0x30, parts)
}

/// UTCTime before 2050, GeneralizedTime after.
pub fn time(unix_seconds: u64) -> Vec<u8> {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Days since 0000-03-01, so that the leap day is a year's last: eras of 400 years have the same number of days.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (400 * era + year + u64::from(month >= 10), (month + 2) % 12 + 1);
    let clock = format!("{month:02}{day:02}{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60);
    if year < 2050 {
        value(0x17, &[format!("{:02}{clock}", year % 100).as_bytes()])
    } else {
        value(0x18, &[format!("{year:04}{clock}").as_bytes()])
    }
}

/// The first value's length with its tag and length, and without.
fn measure(der: &[u8]) -> Option<(usize, usize)> {
    let (header, content) = match *der.get(1)? {
        short @ 0..=0x7f => (2, usize::from(short)),
        long @ 0x81..=0x83 => {
            let digits = der.get(2..2 + usize::from(long & 0x7f))?;
            (2 + digits.len(), digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))
        }
        _ => return None,
    };
    (header + content <= der.len()).then_some((header + content, content))
}

/// What the first value holds.
pub fn content(der: &[u8]) -> Option<&[u8]> {
    let (whole, content) = measure(der)?;
    der.get(whole - content..whole)
}

/// The values one after the other, each with its tag and length.
pub fn parts(mut der: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !der.is_empty() {
        let (part, rest) = der.split_at_checked(measure(der)?.0)?;
        parts.push(part);
        der = rest;
    }
    Some(parts)
}

/// A certificate (DER) as PEM.
pub fn pem(certificate: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    // 48 bytes are a line of 64 characters.
    for line in certificate.chunks(48) {
        for bytes in line.chunks(3) {
            let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(bytes.get(i).copied().unwrap_or(0)));
            for i in 0..4 {
                let digit = char::from(ALPHABET[bits >> (18 - 6 * i) & 63]);
                out.push(if i <= bytes.len() { digit } else { '=' });
            }
        }
        out.push('\n');
    }
    out + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_calendar_dates() {
        let cases: [(u64, &[u8]); 6] = [
            (0, b"\x17\x0d700101000000Z"),
            (951_782_399, b"\x17\x0d000228235959Z"),
            (951_782_400, b"\x17\x0d000229000000Z"),
            (1_735_689_599, b"\x17\x0d241231235959Z"),
            (2_524_607_999, b"\x17\x0d491231235959Z"),
            (2_524_608_000, b"\x18\x0f20500101000000Z"),
        ];
        for (unix_seconds, expected) in cases {
            assert_eq!(time(unix_seconds), expected, "{unix_seconds}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let bytes = vec![7; length];
            let value = value(0x04, &[&bytes]);
            assert_eq!(content(&value), Some(bytes.as_slice()));
            assert_eq!(parts(&[value.as_slice(), &value].concat()), Some(vec![value.as_slice(); 2]));
            assert_eq!(content(&value[..value.len() - 1]), None);
        }
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, base64) in [(&b"f"[..], "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            assert_eq!(pem(bytes).lines().nth(1), Some(base64));
        }
    }
}
