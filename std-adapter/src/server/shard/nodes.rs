//! What a shard has to do with other nodes.

use super::Shard;
use crate::server::backplane::Told;
use crate::server::hub::{NodeChange, NodeIndex, Outgoing};
use std::rc::Rc;

impl Shard {
    /// Goes on with all that another node has told, or ends it.
    pub(super) fn change_node(self: &Rc<Self>, node: NodeIndex, change: NodeChange, quiet: bool) {
        self.at_home_telling(quiet, |home, work| home.change(node, change, work));
        let mut outgoing = Outgoing::new();
        self.users.borrow_mut().change(node, change, &mut outgoing);
        for (shard, mail) in outgoing {
            self.send(shard, mail);
        }
    }

    /// Tells a node all that it must know of this shard.
    pub(super) fn tell_state(&self, to: u64, kept: bool) {
        let mut told = self.home.borrow().state();
        told.extend(self.users.borrow().state());
        if kept {
            told.extend(self.home.borrow().kept(&self.hub, self.now()));
        }
        if let Some(backplane) = self.hub.backplane() {
            backplane.tell(Told::State { to, told });
        }
    }
}
