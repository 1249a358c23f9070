//! Each rule, with what tries to break it. Nothing here can send a packet to anything but loopback: names and connections
//! go through [`net::Net`], which maps the addresses that it knows to servers of the test and refuses all others.

mod address;
mod caps;
mod ends;
mod grant;
mod net;
mod placeholder;
mod proxy;
mod reach;
mod server;
mod tls;
