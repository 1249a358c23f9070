//! Each rule, with what tries to break it.

mod address;
mod caps;
mod ends;
mod grant;
mod headers;
mod own;
mod placeholder;
mod proxy;
mod reach;
mod tls;
mod traffic;
