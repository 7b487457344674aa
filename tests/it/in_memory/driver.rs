//! The program without its process: loops over the fake accounts and the fake API server, which can be stopped and
//! started again at any write. Time is tokio's paused clock.

use crate::in_memory::fake::Fake;
use crate::in_memory::fake::faults::Faults;
use crate::in_memory::fake::kubernetes::FakeKubernetes;
use crate::in_memory::fake::world::ACCOUNTS;
use futures::future::join_all;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use redshift_link::api::unload::status::JobState;
use redshift_link::api::{CrossAccountRedshiftLink, RECONCILE_REQUESTED_AT, UnloadJob, conditions};
use redshift_link::aws::accounts::{Accounts, AccountsWatch};
use redshift_link::aws::mark::Installation;
use redshift_link::aws::shared::SharedReads;
use redshift_link::link::holds::Holds;
use redshift_link::link::memory::Memories;
use redshift_link::link::reconcile::Loop;
use redshift_link::link::register::Register;
use redshift_link::observability::metrics::Metrics;
use redshift_link::unload::reconcile::Loop as JobLoop;
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
    /// As if one server had scraped all processes.
    pub metrics: Metrics,
    process: Loop,
    job_process: JobLoop,
    due: BTreeMap<String, Instant>,
    seen: BTreeMap<String, String>,
    pub loops: usize,
    /// Check after each effect that no living link that was Ready lost what it wants.
    pub guards: bool,
    /// How long it takes until a process that was stopped is started again.
    pub down: Duration,
    /// What else happens at the moment when the fault strikes.
    pub when_struck: Option<fn(&mut Driver)>,
}

/// The clock of everybody: ours, and that of AWS.
pub fn clock() -> Timestamp {
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
        let metrics = Metrics::default();
        let (process, job_process) = start(&aws, &kubernetes, &accounts, &metrics);
        Self {
            aws,
            kubernetes,
            faults,
            accounts,
            metrics,
            process,
            job_process,
            due: BTreeMap::new(),
            seen: BTreeMap::new(),
            loops: 0,
            guards: false,
            down: Duration::ZERO,
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
        (self.process, self.job_process) = start(&self.aws, &self.kubernetes, &self.accounts, &self.metrics);
        self.due.clear();
    }

    /// Wipes the status of every object, as a restore from a backup does.
    pub fn wipe_status(&mut self) {
        for link in self.kubernetes.all() {
            self.kubernetes
                .edit(&link.name_any(), |old| CrossAccountRedshiftLink { status: None, ..old.expect("there") });
        }
        for job in self.kubernetes.jobs() {
            self.kubernetes.edit_job(&job.name_any(), |old| UnloadJob { status: None, ..old.expect("there") });
        }
    }

    /// A job by this name.
    pub fn submit(&self, name: &str, mut job: UnloadJob) {
        job.metadata.name = Some(name.into());
        self.kubernetes.edit_job(name, |old| match old {
            Some(old) => UnloadJob { spec: job.spec, ..old },
            None => job,
        });
    }

    /// Waits for the end of the statement that a job rests for, as the controller does.
    pub async fn until_ended(&mut self, name: &str) {
        let job = self.kubernetes.job(name).expect("there");
        self.job_process.until_ended(job.metadata.uid.as_deref().expect("a UID")).await;
        self.due.insert(job_key(&job), Instant::now());
    }

    /// Notes what changed, as the watches do.
    fn watch(&mut self, links: &[CrossAccountRedshiftLink], jobs: &[UnloadJob]) {
        let now = Instant::now();
        let mut changed = |key: String, version: Option<String>, due: &mut BTreeMap<String, Instant>| {
            let version = version.unwrap_or_default();
            let changed = self.seen.insert(key.clone(), version.clone()).as_ref() != Some(&version);
            if changed {
                due.insert(key, now);
            }
            changed
        };
        let mut any = false;
        for link in links {
            any |= changed(link.name_any(), link.resource_version(), &mut self.due);
        }
        for job in jobs {
            changed(job_key(job), job.resource_version(), &mut self.due);
        }
        let there = |key: &String| {
            links.iter().any(|link| link.name_any() == *key) || jobs.iter().any(|job| job_key(job) == *key)
        };
        let gone: Vec<String> = self.seen.keys().filter(|key| !there(key)).cloned().collect();
        for key in gone {
            self.seen.remove(&key);
            self.due.remove(&key);
            match key.strip_prefix(JOB) {
                Some(uid) => self.job_process.forget(uid),
                None => self.process.forget(&format!("uid-of-{key}")),
            }
            any = true;
        }
        if any {
            self.due.extend(jobs.iter().map(|job| (job_key(job), now)));
        }
    }

    /// One loop of the object that is due first. False where none is due before `until`.
    pub async fn step(&mut self, until: Instant) -> bool {
        let mut changes = self.kubernetes.changes();
        let (links, jobs) = (self.kubernetes.all(), self.kubernetes.jobs());
        self.watch(&links, &jobs);
        let keys = links.iter().map(ResourceExt::name_any).chain(jobs.iter().map(job_key));
        let next = keys.map(|key| (self.due.get(&key).copied().unwrap_or_else(Instant::now), key)).min();
        let Some((due, key)) = next else { return false };
        if due > until {
            return false;
        }
        if due > Instant::now() && tokio::time::timeout_at(due, changes.changed()).await.is_ok() {
            // somebody changed an object meanwhile
            return true;
        }
        self.loops += 1;
        let link = links.iter().find(|link| link.name_any() == key);
        let job = jobs.iter().find(|job| job_key(job) == key);
        let around = async {
            match (link, job) {
                (Some(link), _) => self.process.reconcile(link).await,
                (None, Some(job)) => self.job_process.reconcile(job).await,
                (None, None) => Ok(None),
            }
        };
        let result = tokio::select! {
            result = around => Some(result),
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
                tokio::time::sleep(self.down).await;
                self.restart();
                return true;
            }
            Some(Ok(Some(rest))) => rest,
            Some(Ok(None)) => Duration::from_secs(86_400 * 365),
            Some(Err(_)) => Duration::from_secs(1),
        };
        self.due.insert(key, Instant::now() + rest);
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
        let again = Some(Duration::from_millis(200));
        let this = &*self;
        let links = this.kubernetes.all().into_iter().map(|link| {
            let name = link.name_any();
            let around = async |link: &CrossAccountRedshiftLink| {
                let rest = this.process.reconcile(link).await.ok().flatten();
                this.guard();
                rest.or(again)
            };
            async move { this.keep(|| this.kubernetes.get(&name), around, until).await }
        });
        let jobs = this.kubernetes.jobs().into_iter().map(|job| {
            let name = job.name_any();
            let around = async |job: &UnloadJob| this.job_process.reconcile(job).await.unwrap_or(again);
            async move { this.keep(|| this.kubernetes.job(&name), around, until).await }
        });
        tokio::join!(join_all(links), join_all(jobs));
        self.due.clear();
        self.seen.clear();
    }

    /// Loops over one object until then or until it is gone, woken by any change of it as by the watch.
    async fn keep<T: ResourceExt>(
        &self,
        get: impl Fn() -> Option<T>,
        around: impl AsyncFn(&T) -> Option<Duration>,
        until: Instant,
    ) {
        let mut changes = self.kubernetes.changes();
        while Instant::now() < until {
            let Some(object) = get() else { return };
            let due = around(&object).await.map_or(until, |rest| (Instant::now() + rest).min(until));
            while get().map(|object| object.resource_version()) == Some(object.resource_version()) {
                if tokio::time::timeout_at(due, changes.changed()).await.is_err() {
                    break;
                }
            }
        }
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

    /// How far a job is.
    pub fn state(&self, name: &str) -> Option<JobState> {
        self.kubernetes.job(name)?.status?.state
    }

    /// Lets time pass until a job came to its end, for so many hours at most. True where it did.
    pub async fn finish(&mut self, name: &str, hours: usize) -> bool {
        for _ in 0..=hours {
            self.settle().await;
            let ended = matches!(self.state(name), Some(JobState::Complete | JobState::Failed));
            if ended || self.kubernetes.job(name).is_none() {
                return true;
            }
            self.pass(Duration::from_secs(3600)).await;
        }
        false
    }

    /// Why a job ended, and what it says.
    pub fn ended(&self, name: &str) -> String {
        let status = self.kubernetes.job(name).and_then(|job| job.status).unwrap_or_default();
        status.ended.map(|ended| format!("{:?}: {}", ended.reason, ended.message)).unwrap_or_default()
    }

    /// Deletes a job, and lets it go.
    ///
    /// # Panics
    /// It stays.
    pub async fn remove(&mut self, name: &str, what: &str) {
        self.kubernetes.delete_job(name);
        assert!(self.finish(name, 40).await, "{what}: {:#?}", self.kubernetes.job(name));
        for _ in 0..40 {
            if self.kubernetes.job(name).is_none() {
                return;
            }
            self.pass(Duration::from_secs(3600)).await;
        }
        panic!("{what}: {:#?}", self.kubernetes.job(name));
    }

    /// A condition of a job as `Status Reason`, or nothing.
    pub fn job_condition(&self, name: &str, kind: &str) -> String {
        let job = self.kubernetes.job(name).unwrap_or_else(|| panic!("{name} is gone"));
        let status = job.status.unwrap_or_default();
        conditions::find(&status.conditions, kind).map(|c| format!("{} {}", c.status, c.reason)).unwrap_or_default()
    }

    pub fn ready(&self, name: &str) -> String {
        self.condition(name, "Ready")
    }
}

const JOB: &str = "job/";

/// Jobs are told apart by UID: another of the same name is another.
fn job_key(job: &UnloadJob) -> String {
    format!("{JOB}{}", job.uid().unwrap_or_default())
}

fn start(
    aws: &Fake,
    kubernetes: &FakeKubernetes,
    accounts: &watch::Sender<AccountsWatch>,
    metrics: &Metrics,
) -> (Loop, JobLoop) {
    let holds = Holds::default();
    let installation = Installation::new("test").expect("a good id");
    let process = Loop {
        reads: SharedReads::new(Arc::new(aws.clone())),
        effects: Arc::new(aws.clone()),
        kubernetes: Arc::new(kubernetes.clone()),
        accounts: accounts.subscribe(),
        register: Register::new(GRACE),
        holds: holds.clone(),
        installation: installation.clone(),
        interval: INTERVAL,
        grace: GRACE,
        started: Instant::now(),
        now: clock,
        leads: Box::new(|_| true),
        memories: Memories::default(),
    };
    let jobs = JobLoop {
        reads: SharedReads::new(Arc::new(aws.clone())),
        effects: Arc::new(aws.clone()),
        kubernetes: Arc::new(kubernetes.clone()),
        accounts: accounts.subscribe(),
        holds: holds.clone(),
        installation,
        interval: INTERVAL,
        grace: GRACE,
        started: Instant::now(),
        now: clock,
        leads: Box::new(|_| true),
        memories: Memories::default(),
        metrics: metrics.clone(),
    };
    kubernetes.all().iter().for_each(|link| process.expect(link));
    kubernetes.jobs().iter().for_each(|job| jobs.expect(job));
    holds.all_known();
    (process, jobs)
}
