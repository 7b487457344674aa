//! The Data API, and a warehouse that executes UNLOADs on the paused clock.

use super::buckets::Content;
use super::effects::No;
use super::{Fake, State, refused};
use crate::in_memory::driver::clock;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use redshift_link::aws::effect::{Done, Effect, Submission};
use redshift_link::aws::error::{AwsError, Operation, Service, code};
use redshift_link::aws::model::{Statement, StatementStatus, Upload};
use redshift_link::aws::scope::{AccountId, Scope, parse_role_arn};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

const TOKENS: SignedDuration = SignedDuration::from_hours(8);
const KNOWN: SignedDuration = SignedDuration::from_hours(24);

/// How a statement ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// With files of so many bytes, of one row each.
    Finished(Vec<(&'static str, u64)>),
    /// Without rows: no manifest, and these empty files.
    NoRows(Vec<&'static str>),
    /// After these files, with this error.
    Failed(&'static str, Vec<(&'static str, u64)>),
    /// Somebody stops it, after these files.
    Aborted(Vec<(&'static str, u64)>),
}

/// How statements behave.
#[derive(Clone, Debug)]
pub struct Warehouse {
    /// How long a statement runs.
    pub takes: Duration,
    /// How long it takes from submitted to started.
    pub starting: Duration,
    /// How long a cancellation takes.
    pub aborting: Duration,
    /// How the next statements end, the last one for all that follow.
    pub endings: Vec<Ending>,
    /// An aborted statement writes another file so much later.
    pub writes_on: Option<Duration>,
    /// What else happens to the files of a statement that finished.
    pub afterwards: fn(&mut State, &str, &str),
    pub runs: Vec<Run>,
    /// The history has so many rows of each statement.
    pub known_rows: u64,
    /// What the history was asked.
    pub questions: Vec<Question>,
}

/// A statement that asks the history.
#[derive(Clone, Debug)]
pub struct Question {
    id: String,
    pub submission: Submission,
    owner: String,
    created: Timestamp,
}

impl Default for Warehouse {
    fn default() -> Self {
        Self {
            takes: Duration::from_secs(45),
            starting: Duration::from_secs(2),
            aborting: Duration::from_secs(2),
            endings: vec![Ending::Finished(vec![("0000_part_00", 700), ("0001_part_00", 500)])],
            writes_on: None,
            afterwards: |_, _, _| {},
            runs: vec![],
            known_rows: 0,
            questions: vec![],
        }
    }
}

/// A statement that was accepted.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: String,
    pub submission: Submission,
    /// Id of the role that submitted it.
    owner: String,
    at: Scope,
    created: Timestamp,
    began: Instant,
    pub takes: Duration,
    starting: Duration,
    ending: Ending,
    pub cancelled: Option<Instant>,
    half: bool,
    pub ended: Option<(StatementStatus, Instant)>,
    wrote_on: bool,
    /// What its roles said when it was submitted.
    documents: Vec<Documents>,
}

/// The trust policy and the inline policies of a role.
type Documents = (String, BTreeMap<String, String>);

impl Run {
    pub fn status(&self) -> StatementStatus {
        match self.ended {
            Some((status, _)) => status,
            None if self.began.elapsed() < self.starting / 2 => StatementStatus::Submitted,
            None if self.began.elapsed() < self.starting => StatementStatus::Picked,
            None => StatementStatus::Started,
        }
    }

    /// Bucket and prefix of its files.
    fn place(&self) -> (String, String) {
        let to = self.submission.sql.split("TO 's3://").nth(1).and_then(|rest| rest.split('\'').next());
        let (bucket, prefix) = to.expect("an UNLOAD").split_once('/').expect("a prefix");
        (bucket.into(), prefix.into())
    }

    /// The roles that it is executed by.
    fn chain(&self) -> Vec<String> {
        let roles = self.submission.sql.split("IAM_ROLE '").nth(1).and_then(|rest| rest.split('\'').next());
        roles.expect("an UNLOAD").split(',').map(ToOwned::to_owned).collect()
    }

    /// And the one that submitted it.
    fn roles(&self) -> Vec<String> {
        [self.chain(), vec![self.submission.role_arn.clone()]].concat()
    }

    fn statement(&self) -> Statement {
        let status = self.status();
        let error = match (&self.ending, status) {
            (Ending::Failed(error, _), StatementStatus::Failed) => Some((*error).to_owned()),
            _ => None,
        };
        Statement {
            id: self.id.clone(),
            name: self.submission.name.clone(),
            status,
            error,
            created: Some(self.created),
            rows: None,
            query_id: Some(7),
        }
    }
}

impl Question {
    fn answer(&self, known_rows: u64) -> Statement {
        Statement {
            id: self.id.clone(),
            name: self.submission.name.clone(),
            status: StatementStatus::Finished,
            error: None,
            created: Some(self.created),
            rows: Some(known_rows.min(1)),
            query_id: Some(8),
        }
    }
}

impl State {
    /// Everything that happened in the warehouse until now.
    pub(super) fn advance(&mut self) {
        let mut runs = std::mem::take(&mut self.warehouse.runs);
        for run in &mut runs {
            self.advance_one(run);
        }
        self.warehouse.runs = runs;
    }

    fn advance_one(&mut self, run: &mut Run) {
        let now = Instant::now();
        let (bucket, prefix) = run.place();
        let files = match &run.ending {
            Ending::Finished(files) | Ending::Failed(_, files) | Ending::Aborted(files) => files.clone(),
            Ending::NoRows(names) => names.iter().map(|name| (*name, 0)).collect(),
        };
        if let Some((status, at)) = run.ended {
            let writes_on = self.warehouse.writes_on.filter(|_| status == StatementStatus::Aborted && !run.wrote_on);
            if writes_on.is_some_and(|later| now >= at + later) {
                run.wrote_on = true;
                self.put_size(&bucket, &format!("{prefix}9999_part_00"), 1);
            }
            return;
        }
        let ends = run.began + run.takes;
        if !run.half
            && now >= run.began + run.takes / 2
            && run.cancelled.is_none_or(|at| at > run.began + run.takes / 2)
        {
            run.half = true;
            for (name, size) in files.iter().take(files.len().div_ceil(2)) {
                self.put_size(&bucket, &format!("{prefix}{name}"), *size);
            }
            let key = format!("{prefix}0002_part_00");
            let id = self.next_id("upload");
            self.uploads.insert((bucket.clone(), Upload { key, id }));
        }
        if let Some(aborts) = run.cancelled.map(|at| at + self.warehouse.aborting).filter(|aborts| *aborts < ends) {
            if now >= aborts {
                run.ended = Some((StatementStatus::Aborted, aborts));
            }
            return;
        }
        if now < ends {
            return;
        }
        let key = format!("{prefix}0002_part_00");
        let finished = matches!(run.ending, Ending::Finished(_) | Ending::NoRows(_));
        if finished {
            self.uploads.retain(|(b, upload)| *b != bucket || upload.key != key);
        }
        let written = if run.half { files.len().div_ceil(2) } else { 0 };
        for (name, size) in files.iter().skip(written) {
            self.put_size(&bucket, &format!("{prefix}{name}"), *size);
        }
        let status = match &run.ending {
            Ending::Finished(files) => {
                let body = manifest(&bucket, &prefix, files);
                self.put(&bucket, &format!("{prefix}manifest"), Content { size: body.len() as u64, body });
                StatementStatus::Finished
            }
            Ending::NoRows(_) => StatementStatus::Finished,
            Ending::Failed(..) => StatementStatus::Failed,
            Ending::Aborted(_) => StatementStatus::Aborted,
        };
        if finished {
            (self.warehouse.afterwards)(self, &bucket, &prefix);
        }
        run.ended = Some((status, ends));
    }

    pub(super) fn submit(&mut self, at: &Scope, submission: &Submission) -> Result<Done, No> {
        let owner = self.owner(&submission.role_arn).ok_or((code::ROLE_NOT_ASSUMABLE, "no such role".to_owned()))?;
        let same = |run: &&Run| run.owner == owner && run.submission.token == submission.token;
        let known = |run: &&Run| clock().duration_since(run.created) < TOKENS;
        if let Some(run) = self.warehouse.runs.iter().filter(same).find(known) {
            let same = run.submission == *submission;
            assert!(same, "the same token for something else: {submission:?}");
            return Ok(Done::Statement(run.id.clone()));
        }
        let cluster = self.cluster_now(at, &submission.cluster);
        let cluster = cluster.ok_or_else(|| ("ValidationException", "Redshift cluster not found".to_owned()))?;
        if !cluster.is_available() {
            return Err(("ValidationException", format!("Redshift cluster is {}", cluster.status)));
        }
        if submission.sql.starts_with("SELECT 1 FROM sys_unload_history") {
            let same = self.warehouse.questions.iter().find(|asked| asked.submission == *submission);
            if let Some(same) = same {
                return Ok(Done::Statement(same.id.clone()));
            }
            let question =
                Question { id: self.next_id("question"), submission: submission.clone(), owner, created: clock() };
            self.warehouse.questions.push(question.clone());
            return Ok(Done::Statement(question.id));
        }
        let ending = match self.warehouse.endings.len() {
            1 => self.warehouse.endings[0].clone(),
            _ => self.warehouse.endings.remove(0),
        };
        let id = self.next_id("statement");
        let mut run = Run {
            id: id.clone(),
            submission: submission.clone(),
            owner,
            at: at.clone(),
            created: clock(),
            began: Instant::now(),
            takes: self.warehouse.takes,
            starting: self.warehouse.starting,
            ending,
            cancelled: None,
            half: false,
            ended: None,
            wrote_on: false,
            documents: vec![],
        };
        run.documents = run.roles().iter().map(|arn| self.documents(arn)).collect();
        let (bucket, prefix) = run.place();
        assert!(self.listing(&bucket, &prefix).objects.is_empty(), "not a fresh prefix: {submission:?}");
        let job = |run: &Run| run.submission.name.rsplit_once('/').map(|(job, _)| job.to_owned());
        let before = self.warehouse.runs.iter().find(|other| {
            let failed = matches!(other.status(), StatementStatus::Failed | StatementStatus::Aborted);
            job(other) == job(&run) && !failed
        });
        if let Some(before) = before {
            self.cuts.push(format!(
                "{} is submitted, and {} is {:?}",
                submission.name,
                before.submission.name,
                before.status()
            ));
        }
        self.warehouse.runs.push(run);
        Ok(Done::Statement(id))
    }

    pub(super) fn cancel(&mut self, role_arn: &str, id: &str) -> Result<(), No> {
        let owner = self.owner(role_arn).ok_or((code::ROLE_NOT_ASSUMABLE, "no such role".to_owned()))?;
        let run = self.warehouse.runs.iter_mut().find(|run| run.id == id && run.owner == owner);
        let run = run.ok_or_else(|| ("ResourceNotFoundException", "Query does not exist.".to_owned()))?;
        let status = run.status();
        if status != StatementStatus::Started {
            let message = format!("Could not cancel a query that is already in {status:?} state with ID: {id}");
            return Err(("ValidationException", message));
        }
        run.cancelled.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn owner(&self, role_arn: &str) -> Option<String> {
        let arn = parse_role_arn(role_arn)?;
        Some(self.role_named(&AccountId(arn.account.into()), arn.name)?.1.id.clone())
    }

    /// The statements that this role sees, each with its cluster.
    fn seen_by(&self, role_arn: &str) -> Option<Vec<(&str, Statement)>> {
        let owner = self.owner(role_arn)?;
        let known = |by: &String, created: Timestamp| *by == owner && clock().duration_since(created) < KNOWN;
        let runs = self.warehouse.runs.iter().filter(|run| known(&run.owner, run.created));
        let runs = runs.map(|run| (run.submission.cluster.as_str(), run.statement()));
        let asked = self.warehouse.questions.iter().filter(|asked| known(&asked.owner, asked.created));
        let asked = asked.map(|asked| (asked.submission.cluster.as_str(), asked.answer(self.warehouse.known_rows)));
        Some(runs.chain(asked).collect())
    }

    pub(super) fn see_statement(&self, role_arn: &str, id: &str) -> Option<Option<Statement>> {
        Some(self.seen_by(role_arn)?.into_iter().map(|(_, statement)| statement).find(|statement| statement.id == id))
    }

    pub(super) fn see_named(&self, role_arn: &str, cluster: &str, name: &str) -> Option<Vec<Statement>> {
        let named = |(on, statement): (&str, Statement)| {
            // a listing tells less
            let listed = Statement { rows: None, query_id: None, error: None, ..statement };
            (on == cluster && listed.name.starts_with(name)).then_some(listed)
        };
        let mut found: Vec<_> = self.seen_by(role_arn)?.into_iter().filter_map(named).collect();
        let others = self.others.iter().filter(|statement| statement.name.starts_with(name));
        found.extend(others.cloned());
        Some(found)
    }

    fn documents(&self, role_arn: &str) -> Documents {
        let arn = parse_role_arn(role_arn).expect("an ARN");
        let role = self.role_named(&AccountId(arn.account.into()), arn.name);
        role.map(|(_, role)| (role.trust.clone(), role.inline.clone())).unwrap_or_default()
    }

    /// Notes a running statement that lost a role, or what a role allowed.
    pub(super) fn check_statements(&mut self, after: &Effect) {
        let mut cuts = vec![];
        for run in self.warehouse.runs.iter().filter(|run| run.ended.is_none()) {
            let chain = run.chain();
            for (role, documents) in run.roles().iter().zip(&run.documents) {
                if self.documents(role) != *documents {
                    cuts.push(format!("{} lacks {role} as it was after {after}", run.submission.name));
                }
            }
            let cluster = self.cluster_now(&run.at, &run.submission.cluster);
            if cluster.is_some_and(|cluster| cluster.iam_roles.get(&chain[0]).map(String::as_str) != Some("in-sync")) {
                cuts.push(format!("{} lacks {} on its cluster after {after}", run.submission.name, chain[0]));
            }
        }
        self.cuts.extend(cuts);
    }
}

fn manifest(bucket: &str, prefix: &str, files: &[(&str, u64)]) -> String {
    let entry = |(name, size): &(&str, u64)| serde_json::json!({"url": format!("s3://{bucket}/{prefix}{name}"), "meta": {"content_length": size, "record_count": 1}});
    let entries: Vec<_> = files.iter().map(entry).collect();
    let bytes: u64 = files.iter().map(|(_, size)| size).sum();
    let meta = serde_json::json!({"content_length": bytes, "record_count": files.len()});
    serde_json::json!({"entries": entries, "meta": meta}).to_string()
}

impl Fake {
    /// How many statements of each name were accepted.
    pub fn accepted(&self) -> Vec<(String, usize)> {
        let state = self.state();
        let mut names: Vec<_> = state.warehouse.runs.iter().map(|run| run.submission.name.clone()).collect();
        names.sort();
        let mut counted: Vec<(String, usize)> = vec![];
        for name in names {
            match counted.last_mut() {
                Some((last, count)) if *last == name => *count += 1,
                _ => counted.push((name, 1)),
            }
        }
        counted
    }

    /// The role of the call is not there.
    pub(super) fn not_assumable(at: &Scope, operation: &'static str, role: &str) -> AwsError {
        let operation = Operation::new(Service::RedshiftData, operation);
        refused((&at.account, Some(&at.region)), operation, role.into(), code::ROLE_NOT_ASSUMABLE, "no such role")
    }
}
