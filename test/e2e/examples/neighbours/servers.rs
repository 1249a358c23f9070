//! Servers on loopback that are as bad as may be.

use std::net::{SocketAddr, UdpSocket};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An HTTP server that answers whatever it is asked with a body without end.
pub async fn endless_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection));
        }
    });
    address
}

async fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    let mut head = [0; 4096];
    let _ = connection.read(&mut head).await?;
    connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    loop {
        connection.write_all(&chunk).await?;
    }
}

/// A name server that knows no name, and keeps silent about those of one domain.
pub struct Names {
    pub address: SocketAddr,
}

/// The domain about which [`Names`] keeps silent.
pub const SILENT: &str = "silent.example";

impl Names {
    /// Where nobody else listens; port 53 takes a privilege.
    pub fn start() -> Option<Self> {
        let address = SocketAddr::from(([127, 0, 0, 153], 53));
        let socket = UdpSocket::bind(address).ok()?;
        std::thread::spawn(move || answer_names(&socket));
        Some(Self { address })
    }
}

fn answer_names(socket: &UdpSocket) -> std::io::Result<()> {
    // The label that all of them have, as DNS writes it; and where a message has its flags (RFC 1035, 4.1.1).
    const LABEL: &[u8] = b"\x06silent";
    const FLAGS: std::ops::Range<usize> = 2..4;
    const NO_SUCH_NAME: [u8; 2] = [0x81, 0x83];
    let mut message = [0; 512];
    loop {
        let (length, client) = socket.recv_from(&mut message)?;
        let query = &mut message[..length];
        if length > FLAGS.end && !query.windows(LABEL.len()).any(|label| label == LABEL) {
            query[FLAGS].copy_from_slice(&NO_SUCH_NAME);
            socket.send_to(query, client)?;
        }
    }
}
