//! The queues of each app's endpoints, as the apps are configured now.

use super::client::Client;
use super::fact::Fact;
use super::queue::Queue;
use super::work;
use crate::app::App;
use crate::server::hub::Hub;
use bytes::Bytes;
use hashbrown::HashMap;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tokio::task::JoinSet;

/// By the app's place.
type ByApp = HashMap<u32, Vec<Rc<Queue>>>;

#[derive(Default)]
pub(super) struct Queues {
    queues: RefCell<ByApp>,
    /// Those of endpoints that are configured no more; they still send what waits.
    parting: RefCell<Vec<Rc<Queue>>>,
    client: OnceCell<Client>,
}

impl Queues {
    /// Makes queues and workers for the endpoints that are new, and ends those of endpoints that are gone, which
    /// send what waits.
    pub(super) fn renew(&self, hub: &Hub, workers: &mut JoinSet<()>) {
        while workers.try_join_next().is_some() {}
        let apps: Vec<_> = hub.apps().iter().collect();
        let tls = apps.iter().flat_map(|app| &app.outlet().endpoints).any(|e| e.is_https());
        let connect = hub.config().webhook_timeout;
        let client = self.client.get_or_init(|| Client::new(tls, connect));
        client.renew(tls, connect);
        let mut before = self.queues.take();
        let mut now = ByApp::default();
        for app in apps.iter().filter(|app| !app.outlet().endpoints.is_empty()) {
            let old = before.remove(&app.index()).unwrap_or_default();
            let (kept, new) = renew_app(app, old, hub, &self.parting);
            for queue in new {
                workers.spawn_local(work(queue, client.clone(), hub.clone()));
            }
            now.insert(app.index(), kept);
        }
        for queue in before.into_values().flatten() {
            queue.close();
            self.parting.borrow_mut().push(queue);
        }
        self.parting.borrow_mut().retain(|queue| !queue.is_empty());
        self.queues.replace(now);
    }

    /// Puts a fact into the queues of those that want it; it is encoded once.
    pub(super) fn tell(&self, fact: &Fact) {
        let mut json = None;
        for queue in self.queues.borrow().get(&fact.app).into_iter().flatten() {
            if queue.endpoint.gets(fact) {
                queue.push(json.get_or_insert_with(|| Bytes::from(fact.json())));
            }
        }
    }

    /// Those that want a fact, by their places, with what they are told.
    pub(super) fn that_get(&self, fact: &Fact) -> Vec<(usize, Vec<u8>)> {
        let all = self.queues.borrow();
        let queues = all.get(&fact.app).into_iter().flatten().enumerate();
        queues
            .filter(|(_, queue)| queue.endpoint.gets(fact))
            .map(|(at, _)| (at, fact.json()))
            .collect()
    }

    /// Puts a fact into the queue at a place.
    pub(super) fn tell_one(&self, fact: &Fact, place: usize) {
        if let Some(queue) = self.queues.borrow().get(&fact.app).and_then(|all| all.get(place)) {
            queue.push(&Bytes::from(fact.json()));
        }
    }

    pub(super) fn close(&self) {
        self.queues.borrow().values().flatten().for_each(|queue| queue.close());
    }

    pub(super) fn give_up(&self) {
        self.queues.borrow().values().flatten().for_each(|queue| queue.give_up());
        self.parting.borrow().iter().for_each(|queue| queue.give_up());
    }
}

/// The queues of an app as it is now, and those of them that are new.
fn renew_app(
    app: &Arc<App>,
    mut old: Vec<Rc<Queue>>,
    hub: &Hub,
    parting: &RefCell<Vec<Rc<Queue>>>,
) -> (Vec<Rc<Queue>>, Vec<Rc<Queue>>) {
    let mut turns: HashMap<Box<str>, _> = HashMap::default();
    for queue in &old {
        turns.insert(queue.endpoint.webhook.url.clone(), Rc::clone(&queue.turn));
    }
    let (mut kept, mut new) = (Vec::new(), Vec::new());
    for (place, endpoint) in app.outlet().endpoints.iter().enumerate() {
        let same = old.iter().position(|queue| Arc::ptr_eq(&queue.endpoint, endpoint));
        let queue = same.map(|at| old.swap_remove(at)).unwrap_or_else(|| {
            let turn = turns.entry(endpoint.webhook.url.clone()).or_default();
            let queue = Queue::new(Arc::clone(endpoint), app, Rc::clone(turn), &hub.config());
            new.push(Rc::new(queue));
            Rc::clone(&new[new.len() - 1])
        });
        queue.renew(app, place, &hub.config());
        kept.push(queue);
    }
    for queue in old {
        queue.close();
        parting.borrow_mut().push(queue);
    }
    (kept, new)
}
