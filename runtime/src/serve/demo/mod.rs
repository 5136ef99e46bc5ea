//! The demo's three origins: tiny keep-alive HTTP/1.1 servers on one thread, good enough to be
//! balanced over, killed and started again.

mod request;
#[cfg(test)]
mod tests;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use request::{Progress, Request};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

/// What `serve --demo` prints when it is ready.
pub(super) const HELLO: &str = "\
The demo listens on http://127.0.0.1:8080 before three built-in servers. Try:

  curl -i http://127.0.0.1:8080/                 each answer comes from the next server
  curl http://127.0.0.1:8080/demo/kill/2         kills the second one; ask again: nobody notices
  curl http://127.0.0.1:8080/demo/start/2        and brings it back

Ctrl-C stops it.
";

const ORIGINS: usize = 3;
/// Connections at once; more are closed.
const CONNECTIONS_MAX: usize = 1024;

struct Connection {
    stream: TcpStream,
    origin: usize,
    request: Request,
    out: Vec<u8>,
    close: bool,
}

struct Origin {
    addr: SocketAddr,
    listener: Option<TcpListener>,
}

struct Demo {
    poll: Poll,
    origins: Vec<Origin>,
    connections: BTreeMap<usize, Connection>,
    next_token: usize,
}

/// What a request asks for besides an answer.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Order {
    Kill(usize),
    Start(usize),
}

/// Starts the origins on free ports of 127.0.0.1, which it returns.
pub(super) fn start() -> io::Result<[u16; ORIGINS]> {
    let poll = Poll::new()?;
    let (mut origins, mut ports) = (Vec::new(), [0; ORIGINS]);
    for (index, port) in ports.iter_mut().enumerate() {
        let listener = listen(&poll, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), index)?;
        let addr = listener.local_addr()?;
        *port = addr.port();
        origins.push(Origin { addr, listener: Some(listener) });
    }
    let mut demo = Demo { poll, origins, connections: BTreeMap::new(), next_token: ORIGINS };
    std::thread::Builder::new().name("demo".into()).spawn(move || demo.run())?;
    Ok(ports)
}

fn listen(poll: &Poll, addr: SocketAddr, index: usize) -> io::Result<TcpListener> {
    let mut listener = TcpListener::bind(addr)?;
    poll.registry().register(&mut listener, Token(index), Interest::READABLE)?;
    Ok(listener)
}

impl Demo {
    fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != ErrorKind::Interrupted
            {
                return;
            }
            for event in &events {
                match event.token().0 {
                    origin if origin < ORIGINS => self.accept(origin),
                    token => self.serve(token),
                }
            }
        }
    }

    fn accept(&mut self, origin: usize) {
        while let Some(listener) = &self.origins[origin].listener {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let token = self.next_token;
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            if self.connections.len() == CONNECTIONS_MAX
                || registry.register(&mut stream, Token(token), interest).is_err()
            {
                continue;
            }
            // An answer is one small write; it shall not wait for the last one's acknowledgement.
            let _ = stream.set_nodelay(true);
            self.next_token += 1;
            let request = Request::default();
            let connection = Connection { stream, origin, request, out: Vec::new(), close: false };
            self.connections.insert(token, connection);
        }
    }

    fn serve(&mut self, token: usize) {
        let mut orders = Vec::new();
        while let Some(connection) = self.connections.get_mut(&token) {
            if !connection.progress(&mut orders) {
                self.connections.remove(&token);
            }
            if orders.is_empty() {
                return;
            }
            for order in orders.drain(..) {
                self.obey(order, token);
            }
        }
    }

    /// Carries out what the connection `from` was asked for, and will confirm.
    fn obey(&mut self, order: Order, from: usize) {
        match order {
            Order::Kill(origin) => {
                self.origins[origin].listener = None;
                self.connections.retain(|&token, of| of.origin != origin || token == from);
            }
            Order::Start(origin) => {
                let addr = self.origins[origin].addr;
                if self.origins[origin].listener.is_none() {
                    // If the port was taken meanwhile, the origin stays dead.
                    self.origins[origin].listener = listen(&self.poll, addr, origin).ok();
                }
            }
        }
    }
}

impl Connection {
    /// Reads, answers and writes until it would block, or there are orders to carry out before
    /// they are confirmed; false when the connection has ended.
    fn progress(&mut self, orders: &mut Vec<Order>) -> bool {
        let mut chunk = [0; 16 * 1024];
        loop {
            if !self.flush() {
                return false;
            }
            if !self.out.is_empty() {
                return true;
            }
            if self.close {
                return false;
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(n) => {
                    if !self.take(&chunk[..n], orders) {
                        return false;
                    }
                    if !orders.is_empty() {
                        return true;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// Takes bytes in and answers every request that they complete.
    fn take(&mut self, mut bytes: &[u8], orders: &mut Vec<Order>) -> bool {
        while !bytes.is_empty() && !self.close {
            let (taken, progress) = self.request.take(bytes);
            bytes = &bytes[taken..];
            match progress {
                Progress::More => {}
                Progress::Complete => {
                    let request = std::mem::take(&mut self.request);
                    self.answer(&request, orders);
                }
                Progress::Broken => return false,
            }
        }
        true
    }

    fn answer(&mut self, request: &Request, orders: &mut Vec<Order>) {
        let number = self.origin + 1;
        let (status, body) = match order(request.path()) {
            Some(Ok(order)) => {
                orders.push(order);
                match order {
                    Order::Kill(which) => ("200 OK", format!("server {} is dead\n", which + 1)),
                    Order::Start(which) => ("200 OK", format!("server {} is back\n", which + 1)),
                }
            }
            Some(Err(())) => ("404 Not Found", "there are servers 1, 2 and 3\n".to_owned()),
            None => ("200 OK", format!("hello from server {number}\n")),
        };
        // An origin that is about to kill itself says so first.
        self.close = request.wants_close() || orders.contains(&Order::Kill(self.origin));
        let connection = if self.close { "connection: close\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\
             x-demo-server: {number}\r\nx-demo-body-bytes: {}\r\n{connection}\r\n",
            body.len(),
            request.body_bytes(),
        );
        self.out.extend_from_slice(head.as_bytes());
        if !request.is_head() {
            self.out.extend_from_slice(body.as_bytes());
        }
    }

    /// Writes what can be written; false when the connection is broken.
    fn flush(&mut self) -> bool {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}

/// `/demo/kill/N` and `/demo/start/N`; an error for an `N` that does not exist.
fn order(path: &str) -> Option<Result<Order, ()>> {
    let rest = path.strip_prefix("/demo/")?;
    let (what, number) = rest.split_once('/')?;
    let which = number.parse().ok().filter(|number| (1..=ORIGINS).contains(number));
    let make = match what {
        "kill" => Order::Kill,
        "start" => Order::Start,
        _ => return None,
    };
    Some(which.map(|number: usize| make(number - 1)).ok_or(()))
}
