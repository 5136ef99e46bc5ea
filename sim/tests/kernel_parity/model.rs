//! The simulated kernel, with the proxy as the owner of both ends, for it is told of edges.

use super::script::{ALL, Edges, SIDES, Side, Sockets, Who, add_edge};
use tidegate_core::id::SocketId;
use tidegate_core::input::{AcceptError, Address, Readiness, SocketError};
use tidegate_sim::choice::Choices;
use tidegate_sim::cx::{Cx, Ev, MS, SEC, US};
use tidegate_sim::kernel::{Acceptor, Ep, Net, Owner, Wire, Woken};

const LINK: u32 = 0;
/// Nothing but a retransmission takes longer.
const SETTLED: u64 = 100 * MS;
/// One-way delays, in nanoseconds, of which a seed takes one.
const LATENCIES: [u64; 3] = [2 * US, 100 * US, 2 * MS];
/// How many segments are cut to a few bytes, of which a seed takes one.
const TINY: [u16; 3] = [0, 3, 20];

/// The model, a heap of its events, and the table of sockets.
pub(crate) struct Model {
    cx: Cx,
    net: Net,
    wire: Wire,
    is_fixed: bool,
    address: u16,
    listener: Option<u32>,
    sockets: [Option<Ep>; SIDES],
}

impl Model {
    /// Nothing open; delays and segments follow from `seed`.
    pub(crate) fn new(seed: u64) -> Model {
        let latency = LATENCIES[seed as usize % LATENCIES.len()];
        let tiny_segments = TINY[seed as usize / LATENCIES.len() % TINY.len()];
        let mut net = Net::default();
        let at = Address::Ip("127.0.0.1:80".parse().expect("an address"));
        let address = net.intern(&at, LINK);
        Model {
            cx: Cx::new(seed, Choices::from_seed(seed)),
            net,
            wire: Wire { latency, tiny_segments, ..Wire::default() },
            is_fixed: false,
            address,
            listener: None,
            sockets: [None; SIDES],
        }
    }

    fn ep(&self, side: Side) -> Ep {
        self.sockets[side as usize].expect("a script uses open sockets")
    }

    fn owner(side: Side) -> Owner {
        Owner::Proxy(SocketId::from_bits(side as u64))
    }

    fn keep(&mut self, side: Side, ep: Ep) {
        self.sockets[side as usize] = Some(ep);
    }

    /// Lets time pass up to `limit`, or until there is an edge of `side`.
    fn run(&mut self, limit: u64, side: Option<Side>, edges: &mut Edges) {
        while let Some((at, event)) = self.cx.heap.pop() {
            if at > limit {
                self.cx.heap.push(at, 0, event);
                break;
            }
            self.cx.now = at;
            match event {
                Ev::Flight(ep, flight) => self.net.deliver(&mut self.cx, ep, flight),
                other => panic!("{other:?} is no event of the kernel"),
            }
            if side.is_some() {
                self.tell(edges);
            }
            if side.is_some_and(|side| edges.contains_key(&Who::Socket(side))) {
                return;
            }
        }
        self.cx.now = self.cx.now.max(limit);
        self.tell(edges);
    }

    /// What the next batch of readiness would tell.
    fn tell(&mut self, edges: &mut Edges) {
        while let Some(woken) = self.net.proxy_woken.pop_front() {
            let (who, told) = match woken {
                Woken::Endpoint(ep) => {
                    self.net.told(ep);
                    let side = ALL.into_iter().find(|&s| self.sockets[s as usize] == Some(ep));
                    let Some(side) = side else { continue };
                    (Who::Socket(side), self.net.mask(ep))
                }
                Woken::Listener(listener) => {
                    self.net.told_listener(listener);
                    (Who::Listener, self.net.listener_mask(listener))
                }
            };
            if told != Readiness::default() {
                add_edge(edges, who, told);
            }
        }
    }
}

impl Sockets for Model {
    fn fix_sizes(&mut self) {
        self.is_fixed = true;
    }

    fn listen(&mut self, backlog: u32) {
        let acceptor = Acceptor::Proxy(SocketId::from_bits(99));
        self.listener = Some(self.net.listen(acceptor, self.address, backlog as usize));
    }

    fn unlisten(&mut self) {
        let listener = self.listener.take().expect("a listener");
        self.net.close_listener(&mut self.cx, listener);
    }

    fn connect(&mut self, side: Side) -> Result<(), SocketError> {
        let mut wire = self.wire;
        if self.is_fixed {
            wire.active_recv *= 4;
            wire.passive_recv *= 4;
        }
        let ep = self.net.connect(&mut self.cx, Self::owner(side), self.address, LINK, &wire);
        self.net.proxy_sockets += 1;
        self.keep(side, ep);
        Ok(())
    }

    fn accept(&mut self, side: Side) -> Result<(), AcceptError> {
        let listener = self.listener.expect("a listener");
        let ep = self.net.accept(&mut self.cx, listener, Self::owner(side))?;
        self.keep(side, ep);
        Ok(())
    }

    fn send(&mut self, side: Side, bytes: &[u8]) -> Result<usize, SocketError> {
        let ep = self.ep(side);
        match bytes {
            [] => self.net.probe(ep).map(|()| 0),
            _ => self.net.send(&mut self.cx, ep, &[bytes]),
        }
    }

    fn recv(&mut self, side: Side, into: &mut [u8]) -> Result<usize, SocketError> {
        let ep = self.ep(side);
        self.net.recv(&mut self.cx, ep, &mut [into])
    }

    fn shutdown(&mut self, side: Side) {
        let ep = self.ep(side);
        self.net.shutdown_write(&mut self.cx, ep);
    }

    fn close(&mut self, side: Side, with_reset: bool) {
        let ep = self.sockets[side as usize].take().expect("a script closes what is open");
        match with_reset {
            true => self.net.reset(&mut self.cx, ep),
            false => self.net.close(&mut self.cx, ep),
        }
    }

    fn settle(&mut self, edges: &mut Edges, _is_enough: &mut dyn FnMut(&Edges) -> bool) {
        self.run(self.cx.now + SETTLED, None, edges);
    }

    fn rest(&mut self, edges: &mut Edges) {
        self.settle(edges, &mut |_| true);
    }

    fn wait_for(&mut self, side: Side, edges: &mut Edges) {
        self.run(self.cx.now + 4 * SEC, Some(side), edges);
        self.settle(edges, &mut |_| true);
    }
}
