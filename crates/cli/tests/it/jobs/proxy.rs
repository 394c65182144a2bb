//! Between a runner and its server: passes bytes on, and can hold back what the runner says.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct State {
    /// What begins a request that is held back; nothing is when it is empty.
    held: Mutex<Vec<u8>>,
    count_held: AtomicUsize,
    over: AtomicBool,
}

/// A proxy that ends with the value.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// A proxy to that port of this machine.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else {
                    // As if there were no server.
                    continue;
                };
                let (mut down, mut up) =
                    (upstream.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut down, &mut up);
                    let _ = up.shutdown(Shutdown::Both);
                });
                let state = Arc::clone(&shared);
                std::thread::spawn(move || pass(client, upstream, &state));
            }
        });
        Self { port, state }
    }

    /// Holds back requests that begin so, until [`Self::release`].
    pub fn hold(&self, begin: &str) {
        begin
            .as_bytes()
            .clone_into(&mut self.state.held.lock().unwrap());
    }

    pub fn release(&self) {
        self.state.held.lock().unwrap().clear();
    }

    /// How many requests were held back so far.
    pub fn count_held(&self) -> usize {
        self.state.count_held.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.release();
        self.state.over.store(true, Ordering::SeqCst);
        // Wakes up the one who accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Passes on what the client says. A request comes in one piece, as small as it is.
fn pass(mut client: TcpStream, mut upstream: TcpStream, state: &State) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let is_held = || {
            let held = state.held.lock().unwrap();
            !held.is_empty() && buffer.starts_with(&held)
        };
        if is_held() {
            state.count_held.fetch_add(1, Ordering::SeqCst);
            while is_held() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        if upstream.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = upstream.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}
