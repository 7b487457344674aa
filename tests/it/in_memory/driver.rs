//! The program without its process: loops over the fake accounts and the fake API server, which can be stopped and
//! started again at any write. Time is tokio's paused clock.

use crate::in_memory::fake::Fake;
use crate::in_memory::fake::faults::Faults;
use crate::in_memory::fake::kubernetes::FakeKubernetes;
use crate::in_memory::fake::world::ACCOUNTS;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use redshift_link::api::{CrossAccountRedshiftLink, RECONCILE_REQUESTED_AT, conditions};
use redshift_link::aws::accounts::{Accounts, AccountsWatch};
use redshift_link::aws::mark::Installation;
use redshift_link::aws::shared::SharedReads;
use redshift_link::link::memory::Memories;
use redshift_link::link::reconcile::Loop;
use redshift_link::link::register::Register;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

pub const INTERVAL: Duration = Duration::from_secs(600);
pub const GRACE: Duration = Duration::from_secs(60);

/// The accounts, the API server and a program over them.
pub struct Driver {
    pub aws: Fake,
    pub kubernetes: FakeKubernetes,
    pub faults: Faults,
    pub accounts: watch::Sender<AccountsWatch>,
    process: Loop,
    due: BTreeMap<String, Instant>,
    seen: BTreeMap<String, String>,
    pub loops: usize,
    /// Check after each effect that no living link that was Ready lost what it wants.
    pub guards: bool,
    /// What else happens at the moment when the fault strikes.
    pub when_struck: Option<fn(&mut Driver)>,
}

fn clock() -> Timestamp {
    thread_local! { static START: OnceLock<Instant> = const { OnceLock::new() }; }
    let elapsed = START.with(|start| start.get_or_init(Instant::now).elapsed());
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::try_from(elapsed).unwrap()
}

impl Driver {
    /// A program over the standard world.
    pub fn new() -> Self {
        let faults = Faults::default();
        let aws = Fake::new(faults.clone()).with_world();
        let kubernetes = FakeKubernetes::new(faults.clone());
        let accounts = Arc::new(Accounts::parse(ACCOUNTS).expect("a good file"));
        let (accounts, _) = watch::channel(AccountsWatch { accounts, problem: None });
        let process = start(&aws, &kubernetes, &accounts);
        Self {
            aws,
            kubernetes,
            faults,
            accounts,
            process,
            due: BTreeMap::new(),
            seen: BTreeMap::new(),
            loops: 0,
            guards: false,
            when_struck: None,
        }
    }

    /// Sets the accounts file.
    pub fn set_accounts(&mut self, text: &str) {
        self.due.clear();
        let accounts = Arc::new(Accounts::parse(text).expect("a good file"));
        self.accounts.send_replace(AccountsWatch { accounts, problem: None });
    }

    pub fn apply(&self, link: CrossAccountRedshiftLink) {
        let name = link.name_any();
        self.kubernetes.edit(&name, |old| match old {
            Some(old) => CrossAccountRedshiftLink { spec: link.spec, ..old },
            None => link,
        });
    }

    /// The process ends, and another begins: everything in memory is lost.
    pub fn restart(&mut self) {
        self.process = start(&self.aws, &self.kubernetes, &self.accounts);
        self.due.clear();
    }

    /// Wipes the status of every object, as a restore from a backup does.
    pub fn wipe_status(&mut self) {
        for link in self.kubernetes.all() {
            self.kubernetes
                .edit(&link.name_any(), |old| CrossAccountRedshiftLink { status: None, ..old.expect("there") });
        }
    }

    /// One loop of the object that is due first. False where none is due before `until`.
    pub async fn step(&mut self, until: Instant) -> bool {
        let links = self.kubernetes.all();
        for link in &links {
            let version = link.resource_version().unwrap_or_default();
            if self.seen.insert(link.name_any(), version.clone()).as_ref() != Some(&version) {
                self.due.insert(link.name_any(), Instant::now());
            }
        }
        for (name, uid) in
            self.seen.keys().filter(|n| !links.iter().any(|l| l.name_any() == **n)).map(|n| (n, format!("uid-of-{n}")))
        {
            let _ = name;
            self.process.forget(&uid);
        }
        let next =
            links.iter().map(|link| (self.due.get(&link.name_any()).copied().unwrap_or_else(Instant::now), link));
        let Some((due, link)) = next.min_by_key(|(due, link)| (*due, link.name_any())) else { return false };
        if due > until {
            return false;
        }
        tokio::time::sleep_until(due).await;
        self.loops += 1;
        let result = tokio::select! {
            result = self.process.reconcile(link) => Some(result),
            () = self.faults.stopped() => None,
        };
        if self.faults.has_struck()
            && let Some(then) = self.when_struck.take()
        {
            then(self);
        }
        if self.guards {
            self.guard();
        }
        let rest = match result {
            None => {
                self.restart();
                return true;
            }
            Some(Ok(Some(rest))) => rest,
            Some(Ok(None)) => Duration::from_secs(86_400 * 365),
            Some(Err(_)) => Duration::from_secs(1),
        };
        self.due.insert(link.name_any(), Instant::now() + rest);
        true
    }

    /// From now on what Ready links want must stay.
    fn guard(&self) {
        for link in self.kubernetes.all() {
            let status = link.status.clone().unwrap_or_default();
            let current = status.observed_generation == link.metadata.generation;
            if current && conditions::is_true(&status.conditions, "Ready") && link.metadata.deletion_timestamp.is_none()
            {
                let wants = status.wants.iter().map(|want| want.parse().expect("a want")).collect();
                self.aws.state().guarded.insert(link.name_any(), wants);
            }
        }
    }

    /// A link may lose what it had: it is about to be changed or deleted.
    pub fn unguard(&self, name: &str) {
        self.aws.state().guarded.remove(name);
    }

    /// One loop of the object that is due first, if one is due within a minute.
    pub async fn step_soon(&mut self) {
        self.step(Instant::now() + Duration::from_secs(60)).await;
    }

    /// Every object is looked at at once, as after its annotation was set.
    pub fn look_now(&mut self) {
        for link in self.kubernetes.all() {
            let stamp = format!("look {}", self.loops);
            self.kubernetes.edit(&link.name_any(), |old| {
                let mut link = old.expect("there");
                link.annotations_mut().insert(RECONCILE_REQUESTED_AT.into(), stamp);
                link
            });
        }
    }

    /// Runs the loops of all objects side by side for so long, as the controller does.
    pub async fn run_side_by_side(&mut self, time: Duration) {
        let until = Instant::now() + time;
        let names = self.kubernetes.all().iter().map(ResourceExt::name_any).collect::<Vec<_>>();
        let around = |name: String| {
            let this = &*self;
            async move {
                let mut changes = this.kubernetes.changes();
                while Instant::now() < until {
                    let Some(link) = this.kubernetes.get(&name) else { return };
                    let rest = this.process.reconcile(&link).await.ok().flatten().unwrap_or(Duration::from_millis(200));
                    this.guard();
                    // woken by any change of the object, as by the watch
                    let due = (Instant::now() + rest).min(until);
                    let version = |link: Option<CrossAccountRedshiftLink>| link.map(|link| link.resource_version());
                    while version(this.kubernetes.get(&name)) == Some(link.resource_version()) {
                        if tokio::time::timeout_at(due, changes.changed()).await.is_err() {
                            break;
                        }
                    }
                }
            }
        };
        futures::future::join_all(names.into_iter().map(around)).await;
        self.due.clear();
        self.seen.clear();
    }

    /// Runs until no object is due for nine tenths of an interval: all that is to happen has happened.
    ///
    /// # Panics
    /// It does not come to rest.
    pub async fn settle(&mut self) {
        for _ in 0..2000 {
            if !self.step(Instant::now() + INTERVAL / 6).await {
                return;
            }
        }
        panic!("no rest after 2000 loops: {:#?}", self.kubernetes.all().iter().map(|l| &l.status).collect::<Vec<_>>());
    }

    /// Lets so much time pass, with all loops that fall into it.
    pub async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while self.step(until).await {}
        tokio::time::sleep_until(until).await;
    }

    /// A condition of an object as `Status Reason`, or nothing.
    pub fn condition(&self, name: &str, kind: &str) -> String {
        let link = self.kubernetes.get(name).unwrap_or_else(|| panic!("{name} is gone"));
        let status = link.status.unwrap_or_default();
        conditions::find(&status.conditions, kind).map(|c| format!("{} {}", c.status, c.reason)).unwrap_or_default()
    }

    /// The message of a condition.
    pub fn message(&self, name: &str, kind: &str) -> String {
        let status = self.kubernetes.get(name).and_then(|link| link.status).unwrap_or_default();
        conditions::find(&status.conditions, kind).map(|c| c.message.clone()).unwrap_or_default()
    }

    pub fn ready(&self, name: &str) -> String {
        self.condition(name, "Ready")
    }
}

fn start(aws: &Fake, kubernetes: &FakeKubernetes, accounts: &watch::Sender<AccountsWatch>) -> Loop {
    let process = Loop {
        reads: SharedReads::new(Arc::new(aws.clone())),
        effects: Arc::new(aws.clone()),
        kubernetes: Arc::new(kubernetes.clone()),
        accounts: accounts.subscribe(),
        register: Register::new(GRACE),
        installation: Installation::new("test").expect("a good id"),
        interval: INTERVAL,
        grace: GRACE,
        started: Instant::now(),
        now: clock,
        leads: Box::new(|_| true),
        memories: Memories::default(),
    };
    kubernetes.all().iter().for_each(|link| process.expect(link));
    process
}
