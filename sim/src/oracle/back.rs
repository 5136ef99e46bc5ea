//! What passes between the proxy and backends, as the system calls show it.

use super::ledger::{Attempt, SeenRequest};
use super::{
    Oracle, Verdict, balance, busy, bytes, dials, framing, headers, limits, matching, own, proxy,
    retry, reuse, routes, sticky, timers, tls, tunnels,
};
use crate::kernel::Net;
use crate::refhttp::{BodyReader, Head, Kind, MessageReader, Step};

impl Oracle {
    /// The proxy wrote `bytes` to a backend.
    pub fn sent_to_backend(&mut self, net: &Net, back: u32, bytes: &[u8]) {
        let verdict = proxy::take_preface(self, back, bytes).and_then(|bytes| {
            let is_tunnel = self.backs[back as usize].is_tcp;
            if bytes.is_empty() {
                return Ok(());
            } else if is_tunnel || self.tunnel_of_back(net, back).is_some() {
                return self.tunnel_up(net, back, bytes);
            }
            tunnels::before_the_101(self, net, back)?;
            let place = &mut self.backs[back as usize].reader;
            let mut reader = std::mem::replace(place, MessageReader::new(Kind::Request));
            let verdict = self.read_requests(net, back, &mut reader, bytes);
            self.backs[back as usize].reader = reader;
            verdict
        });
        self.judge(verdict);
    }

    fn read_requests(
        &mut self,
        net: &Net,
        back: u32,
        reader: &mut MessageReader,
        mut bytes: &[u8],
    ) -> Verdict {
        loop {
            match framing::step(reader.next(&mut bytes))? {
                Step::Starved => return Ok(()),
                Step::Head(head) => {
                    let end = reader.offset;
                    let body = self.request_head(net, back, &head, end)?;
                    reader.begin_body(body);
                }
                Step::Body(part) => self.request_body(back, part)?,
                Step::End => self.request_end(back, reader.offset)?,
            }
        }
    }

    fn request_head(&mut self, net: &Net, back: u32, head: &Head, end: u64) -> Verdict<BodyReader> {
        framing::head(head)?;
        let id = matching::request(self, head)?;
        let row = &self.rows[id as usize];
        proxy::request(self, back, row)?;
        limits::in_turn(self, row)?;
        framing::is_sound(row)?;
        routes::request(self, row)?;
        headers::request(self, row, head)?;
        timers::head_in_time(self, row)?;
        let start = self.backs[back as usize].seen.last().and_then(|seen| seen.end).unwrap_or(0);
        let is_reused = !self.backs[back as usize].seen.is_empty();
        retry::attempt(self, net, row, is_reused)?;
        reuse::request(self, back, row)?;
        balance::request(self, back, row)?;
        if is_reused && row.attempts.is_empty() {
            busy::chosen(self, net, self.backs[back as usize].server, Some(back))?;
        }
        dials::probed(self, id)?;
        let row = &self.rows[id as usize];
        sticky::request(self, back, row, head)?;
        tls::request(self, back, row)?;
        let body = framing::request_body(row, head)?;
        let (now, read_before) = (self.now, net.content_read(self.backs[back as usize].ep));
        let row = &mut self.rows[id as usize];
        row.attempts.push(Attempt {
            back,
            start,
            at: now,
            body: 0,
            end: None,
            ended_at: 0,
            is_reused,
            read_before,
            told_id: head.only("x-request-id").and_then(own::request_id),
            plan: None,
        });
        let attempt = row.attempts.len() - 1;
        self.backs[back as usize].seen.push(SeenRequest {
            row: id,
            attempt,
            head_end: end,
            end: None,
        });
        let front = self.rows[id as usize].front;
        limits::served(self, front)?;
        Ok(body)
    }

    fn request_body(&mut self, back: u32, part: &[u8]) -> Verdict {
        let Some(seen) = self.backs[back as usize].seen.last() else { return Ok(()) };
        let row = &mut self.rows[seen.row as usize];
        let offset = row.attempts[seen.attempt].body;
        bytes::up(row, offset, part)?;
        row.attempts[seen.attempt].body += part.len() as u64;
        let (id, all) = (seen.row, row.attempts[seen.attempt].body);
        limits::body(self, &self.rows[id as usize], all)
    }

    fn request_end(&mut self, back: u32, offset: u64) -> Verdict {
        let now = self.now;
        let Some(seen) = self.backs[back as usize].seen.last_mut() else { return Ok(()) };
        seen.end = Some(offset);
        let row = &mut self.rows[seen.row as usize];
        let attempt = &mut row.attempts[seen.attempt];
        attempt.end = Some(offset);
        attempt.ended_at = now;
        let body = attempt.body;
        bytes::request_complete(row, body)
    }
}
