//! What passes between the proxy and its clients, as the system calls show it.

use super::ledger::{Answer, SeenResponse};
use super::{
    Oracle, Verdict, answers, bytes, framing, headers, matching, metamorphic, own, progress, proxy,
    reconfiguration, routes, sticky, timers, tls,
};
use crate::kernel::Net;
use crate::refhttp::{BodyReader, Head, Kind, MessageReader, Step};
use tidegate_core::effect::Close;

impl Oracle {
    /// The proxy tries to write to a client.
    pub fn writes_to_client(&mut self, front: u32) {
        let verdict = timers::stalled(self, front);
        self.judge(verdict);
        let now = self.now;
        let front = &mut self.fronts[front as usize];
        // A handshake is no response.
        let is_secured = front.tls.is_none() || front.secured_at.is_some();
        if front.reader.is_between() && is_secured && front.response_begun_at.is_none() {
            front.response_begun_at = Some(now);
            front.stalled_before = front.stalled_at;
        }
    }

    /// The proxy wrote `bytes` to a client.
    pub fn sent_to_client(&mut self, net: &Net, front: u32, bytes: &[u8]) {
        let verdict = proxy::answers(self, front);
        self.judge(verdict);
        let place = &mut self.fronts[front as usize].reader;
        let mut reader = std::mem::replace(place, MessageReader::new(Kind::Response));
        let verdict = self.read_responses(net, front, &mut reader, bytes);
        self.fronts[front as usize].reader = reader;
        self.judge(verdict);
    }

    fn read_responses(
        &mut self,
        net: &Net,
        front: u32,
        reader: &mut MessageReader,
        mut bytes: &[u8],
    ) -> Verdict {
        loop {
            if self.fronts[front as usize].tunnel.is_some() && reader.is_between() {
                return self.tunnel_down(net, front, bytes);
            }
            if reader.is_between() && !bytes.is_empty() {
                // Whatever they begin, somebody must have asked for it.
                matching::head_of_line(self, front)?;
            }
            match framing::step(reader.next(&mut bytes))? {
                Step::Starved => return Ok(()),
                Step::Head(head) => {
                    let body = self.response_head(net, front, &head, reader.offset)?;
                    reader.begin_body(body);
                }
                Step::Body(part) => self.response_body(front, part)?,
                Step::End => self.response_end(front, reader.offset)?,
            }
        }
    }

    fn response_head(
        &mut self,
        net: &Net,
        front: u32,
        head: &Head,
        offset: u64,
    ) -> Verdict<BodyReader> {
        let now = self.now;
        framing::head(head)?;
        let row = matching::head_of_line(self, front)?;
        let status = head.status();
        let keeps = framing::keeps(head, status, &self.rows[row as usize].ask);
        self.fronts[front as usize].seen.push(SeenResponse {
            status,
            head_end: offset,
            end: None,
            keeps,
        });
        if status < 200 && status != 101 {
            matching::interim(&self.rows[row as usize], status)?;
            headers::interim(head)?;
            self.rows[row as usize].told(status);
            self.fronts[front as usize].response_begun_at = None;
            return Ok(BodyReader::length(0));
        }
        reconfiguration::says_goodbye(self, front, keeps && status != 101)?;
        let serial = matching::origin(&self.rows[row as usize], head)?;
        if status == 101 {
            self.switches(net, row, serial)?;
        }
        let row = &self.rows[row as usize];
        let mut wanted = own::Text::Any;
        match serial {
            Some(serial) => {
                framing::lets_stay(self, row, serial, keeps || status == 101)?;
                headers::response(self, row, serial, head)?;
                sticky::response(self, row, serial, head)?;
            }
            None => {
                proxy::blames(self, row, answers::own(self, net, row, status))?;
                headers::own_answer(self, row, head)?;
                routes::own_answer(self, row, head)?;
                wanted = own::head(self, row, head)?;
            }
        }
        let request_id = match serial {
            Some(_) => None,
            None => head.only("x-request-id").and_then(own::request_id),
        };
        let id = row.ask.id;
        let begun_at = self.fronts[front as usize].response_begun_at;
        let body = framing::response_body(self, row, head)?;
        if self.keeps_heads {
            self.rows[id as usize].shown = metamorphic::shown(head);
        }
        self.rows[id as usize].answer = Some(Answer {
            status,
            serial,
            at: now,
            begun_at: begun_at.unwrap_or(now),
            body: 0,
            end: None,
            ended_at: 0,
            keeps,
            wanted,
            request_id,
            text: Vec::new(),
        });
        Ok(body)
    }

    fn response_body(&mut self, front: u32, part: &[u8]) -> Verdict {
        let Some(&id) = self.fronts[front as usize].head_row() else { return Ok(()) };
        let row = &mut self.rows[id as usize];
        bytes::down(row, part)?;
        if let Some(answer) = &mut row.answer {
            answer.body += part.len() as u64;
            if answer.serial.is_none() {
                answer.text.extend_from_slice(part);
            }
        }
        Ok(())
    }

    fn response_end(&mut self, front: u32, offset: u64) -> Verdict {
        let now = self.now;
        let front = &mut self.fronts[front as usize];
        let Some(seen) = front.seen.last_mut() else { return Ok(()) };
        seen.end = Some(offset);
        if seen.status < 200 && seen.status != 101 {
            return Ok(());
        }
        front.last_response_closes = !seen.keeps;
        let Some(&id) = front.head_row() else { return Ok(()) };
        front.answered += 1;
        front.response_begun_at = None;
        let row = &mut self.rows[id as usize];
        if let Some(answer) = &mut row.answer {
            answer.end = Some(offset);
            answer.ended_at = now;
        }
        let row = &self.rows[id as usize];
        let serial = row.answer.as_ref().and_then(|answer| answer.serial);
        if let Some(serial) = serial {
            tls::response_complete(row, &row.plans[serial as usize])?;
        }
        tls::tickets(row.front, &self.fronts[row.front as usize])?;
        own::complete(row)?;
        bytes::complete(row)
    }

    /// The proxy finished writing to a client, or closed the connection.
    pub fn front_ended(&mut self, front: u32, how: Close, is_closed: bool) {
        let now = self.now;
        let at = &mut self.fronts[front as usize];
        if is_closed {
            at.closed = Some((now, how));
            if at.served_at.is_some() {
                self.serving -= 1;
            }
        }
        let at = &mut self.fronts[front as usize];
        // With TLS it is close_notify that ends a body.
        let is_said = at.facts().map(|facts| facts.notified_at.is_some());
        if at.reader.is_until_close() && is_said.unwrap_or(how == Close::Normal) {
            let offset = at.reader.offset;
            at.reader = MessageReader::new(Kind::Response);
            at.reader.offset = offset;
            let verdict = self.response_end(front, offset);
            self.judge(verdict);
        }
    }

    /// Notes when the proxy has all of the client's handshake.
    pub fn secured(&mut self, net: &Net, front: u32) {
        let now = self.now;
        let at = &mut self.fronts[front as usize];
        let read = net.ep(at.ep).read;
        if at.secured_at.is_none() && read > at.handshake.0 {
            at.handshake = (read, now);
        }
        if let Some(facts) = at.facts()
            && at.secured_at.is_none()
            && facts.finished_at.is_some_and(|end| net.ep(at.ep).read >= end)
        {
            at.secured_at = Some(now);
        }
    }

    /// The proxy tried to read from a client, and has `all` bytes of content now.
    pub fn read_from_client(&mut self, front: u32, all: u64) {
        let now = self.now;
        let verdict = progress::in_line(self, front);
        self.judge(verdict);
        let at = &mut self.fronts[front as usize];
        (at.tried_at, at.knocks_since) = (now, None);
        if at.served_at.is_none() {
            at.served_at = Some(now);
            self.serving += 1;
            if let Some(place) = self.waiting.iter().position(|&f| f == front) {
                self.waiting.remove(place);
            }
        }
        let n = all - at.read;
        at.read = all;
        let verdict =
            proxy::read(self, front, n as usize).and_then(|()| progress::held(self, front, all));
        self.judge(verdict);
        let at = &mut self.fronts[front as usize];
        // What is read behind an answer is only discarded.
        let is_answering = at.response_begun_at.is_some();
        let first = at.answered;
        while n > 0
            && let Some(&id) = at.rows.get(at.rows_read)
        {
            let row = &mut self.rows[id as usize];
            if row.start >= at.read {
                break;
            }
            row.first_read_at.get_or_insert(now);
            row.last_read_at = now;
            let is_discarded = at.rows_read < first || (at.rows_read == first && is_answering);
            if row.head_end.is_some_and(|end| end <= at.read) && !is_discarded {
                row.head_read_at.get_or_insert(now);
            }
            if row.end.is_none_or(|end| end > at.read) {
                break;
            }
            row.all_read_at.get_or_insert(now);
            at.rows_read += 1;
        }
    }
}

impl super::Front {
    fn head_row(&self) -> Option<&u32> {
        self.rows.get(self.answered)
    }
}
