//! The audit at the end of a run: what is owed to every request.

use super::{
    Oracle, accounting, answers, counters as counts, handshakes, liveness, passage, proxy,
};
use crate::kernel::Net;
use tidegate_core::stats::Counters;

impl Oracle {
    /// Judges the whole ledger.
    pub fn audit(&mut self, net: &Net, counters: &Counters) {
        let verdict = accounting::records(self, counters);
        self.judge(verdict);
        let verdict = self.audit_tunnels(net);
        self.judge(verdict);
        for front in 0..self.fronts.len() as u32 {
            let verdict = proxy::turned_away(self, front)
                .and_then(|()| passage::turned_away(self, net, front));
            self.judge(verdict);
        }
        let verdict = handshakes::counted(self, counters);
        self.judge(verdict);
        let verdict = counts::counted(self, counters);
        self.judge(verdict);
        for id in 0..self.rows.len() {
            let row = &self.rows[id];
            let verdict = proxy::blames(self, row, answers::silence(self, net, row))
                .and_then(|()| liveness::succeeded(self, net, row));
            let front = &self.fronts[row.front as usize];
            let arrived = net.content_arrived(front.ep);
            if row.answer.as_ref().is_some_and(|a| a.end.is_some_and(|end| end <= arrived)) {
                self.completed += 1;
            }
            self.judge(verdict);
        }
    }
}
