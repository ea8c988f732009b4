//! All that a node has to tell, asked for and told.

use super::super::Told;
use super::super::ops;
use super::super::wire::{self, Frame, Head, Op};
use super::{Link, MAX_FRAME, Node};
use crate::server::hub::NodeChange;
use bytes::Bytes;
use std::time::Instant;

impl Link {
    /// Asks a node for all that it has to tell.
    pub(super) fn ask(&mut self, id: u64, now: Instant, node: &mut impl Node) {
        let kept = !self.has_kept;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        (peer.asked, peer.part) = (Some(now), 0);
        node.send(wire::encode(
            Head { from: self.view.me, to: id, late: false },
            &Frame::Ask { kept },
        ));
    }

    /// Asks all nodes for all that they have to tell: what they have told of apps that were unknown was not heard.
    pub(in super::super) fn ask_all(&mut self, now: Instant, node: &mut impl Node) {
        self.has_kept = false;
        let ids: Vec<u64> = self.peers.keys().copied().collect();
        for id in ids {
            self.ask(id, now, node);
        }
    }

    /// Tells a node what one shard has told for it.
    pub(super) fn answer(&mut self, to: u64, told: &[Told], node: &mut impl Node) {
        let Some(mut answering) = self.answering.remove(&to) else { return };
        answering.shards -= 1;
        let mut rest = told;
        // A shard with nothing to tell says so, as it may be the last one.
        loop {
            let (part, behind) = rest.split_at(ops::fitting(rest, MAX_FRAME));
            rest = behind;
            let last = answering.shards == 0 && rest.is_empty();
            let apps = ops::apps_of(part, |index| node.app(index));
            let ops = ops::of(part, &apps);
            let state = Frame::State { seq: self.seq, part: answering.part, last, ops };
            node.send(wire::encode(Head { from: self.me(), to, late: false }, &state));
            answering.part += 1;
            if rest.is_empty() {
                break;
            }
        }
        if answering.shards > 0 {
            self.answering.insert(to, answering);
        }
    }

    /// Takes in a part of the answer of a node.
    pub(super) fn state(
        &mut self,
        (id, seq, part, last): (u64, u64, u32, bool),
        ops: &[Op<'_>],
        frame: &Bytes,
        now: Instant,
        node: &mut impl Node,
    ) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let has_lost = seq > peer.last;
        if has_lost {
            // What was between is lost, but for the state, which follows.
            if peer.last != 0 {
                node.gap();
            }
            peer.last = seq;
        }
        if peer.asked.is_none() || part != peer.part {
            // A part is missing, or it was not asked for. Who waits for an answer asks again in time.
            if has_lost {
                self.ask(id, now, node);
            }
            return;
        }
        (peer.part, peer.asked) = (part + 1, Some(now));
        let (index, quiet) = (peer.index, !peer.returns);
        if part == 0 {
            node.change(index, NodeChange::Begin, quiet);
        }
        for op in ops {
            node.hear(index, op, frame, quiet);
        }
        if last {
            (peer.asked, peer.returns) = (None, false);
            node.change(index, NodeChange::End, quiet);
        }
    }
}
