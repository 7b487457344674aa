//! Statements belong to the role that submitted them, and are submitted once for a token
//! (docs/aws-behaviour.md#statements).

use super::scene::Scene;
use redshift_link::aws::effect::{Done, Effect, Submission};
use redshift_link::aws::error::Class;
use redshift_link::aws::mark::ACCESS_POLICY;
use redshift_link::aws::model::{Statement, StatementStatus};
use redshift_link::aws::policy::{self, document};
use redshift_link::aws::read::Read;
use std::time::Duration;

const ROLE: &str = "submits";
const NAME: &str = "ml/stores/u1/1;";

impl Scene {
    fn submits(&self) -> String {
        self.accounts.producer.role_arn(ROLE)
    }

    /// The role that may submit statements.
    async fn make_submitting_role(&mut self) {
        self.make_role_that_submits(ROLE).await;
    }

    async fn make_role_that_submits(&mut self, role: &str) {
        let controller = format!("arn:aws:iam::{}:role/redshift-link", self.accounts.producer.account());
        let trust = policy::Statement::allow("", &["sts:AssumeRole"]).by("AWS", [controller]);
        self.does(self.accounts.producer.role(self, role, document(&[trust]))).await;
        let may = ["redshift-data:*", "redshift:GetClusterCredentialsWithIAM"];
        let may = document(&[policy::Statement::allow("", &may).on(["*".to_owned()])]);
        self.does(self.accounts.producer.put_policy(role, ACCESS_POLICY, may)).await;
    }

    fn submission(&self, token: &str, seconds: u32) -> Effect {
        self.submission_named(NAME, ROLE, token, seconds)
    }

    fn submission_named(&self, name: &str, role: &str, token: &str, seconds: u32) -> Effect {
        let role_arn = self.accounts.producer.role_arn(role);
        let submission = Submission {
            role_arn: role_arn.clone(),
            cluster: "warehouse".into(),
            database: "analytics".into(),
            database_user: None,
            // the accounts in memory execute nothing but what looks like an UNLOAD
            sql: format!("SELECT pg_sleep({seconds}) -- TO 's3://nowhere/{token}/' IAM_ROLE '{role_arn}'"),
            name: name.into(),
            token: token.into(),
        };
        Effect::ExecuteStatement { at: self.accounts.producer.at(), submission }
    }

    async fn statement(&mut self, id: &str) -> Option<Statement> {
        let (at, key) = (self.accounts.producer.at(), (self.submits(), id.to_owned()));
        let seen = self.sees(Read::Statement(at.clone(), key.clone())).await;
        seen.statement(&at, key).expect("answered").clone()
    }

    async fn named(&mut self, name: &str) -> Vec<Statement> {
        let (at, key) = (self.accounts.producer.at(), (self.submits(), "warehouse".to_owned(), name.to_owned()));
        let seen = self.sees(Read::StatementsNamed(at.clone(), key.clone())).await;
        seen.statements_named(&at, key).expect("answered").clone()
    }
}

pub async fn a_statement_is_submitted_once_for_a_token(s: &mut Scene) {
    s.make_submitting_role().await;
    let first = s.submit(s.submission("one", 0)).await;
    let again = s.submit(s.submission("one", 0)).await;
    s.holds("it is the same", first == again);
    let named = s.named(NAME).await;
    s.holds("it is found by its name", named.iter().map(|found| found.id.as_str()).eq([first.as_str()]));
    s.holds("whole", named.iter().all(|found| found.name == NAME && found.created.is_some()));
    let so = s.named("ml/stores/u1/10;").await.is_empty();
    s.holds("and by no other", so);
    let so = s.statement(&first).await.is_some_and(|found| found.id == first);
    s.holds("and by its id", so);
}

/// The oldest is on the last page. Names that ours begins with are not listed, longer ones are: those we tell apart.
pub async fn a_statement_is_found_behind_pages_of_others(s: &mut Scene) {
    s.make_submitting_role().await;
    s.make_role_that_submits("others").await;
    let ours = s.submit(s.submission("ours", 0)).await;
    for number in 0..10 {
        s.submit(s.submission_named(&format!("{NAME}{number}"), ROLE, &format!("longer-{number}"), 0)).await;
    }
    for name in ["ml/stores/u1/1", "ml/stores/u1/", "ml/stores/u1/10;"] {
        s.submit(s.submission_named(name, ROLE, &format!("shorter-{}", name.len()), 0)).await;
    }
    s.submit(s.submission_named(NAME, "others", "anothers", 0)).await;
    let named = s.named(NAME).await;
    s.holds("those whose names begin with it", named.len() == 11);
    let exact = named.iter().filter(|found| found.name == NAME).map(|found| found.id.as_str());
    s.holds("one of them has it", exact.eq([ours.as_str()]));
}

pub async fn a_statement_that_runs_is_cancelled(s: &mut Scene) {
    s.make_submitting_role().await;
    s.accounts.people.let_statements_last().await;
    let id = s.submit(s.submission("one", 600)).await;
    let is = |status: StatementStatus| move |found: &Statement| found.status == status;
    s.until(&id, is(StatementStatus::Started)).await;
    let at = s.accounts.producer.at();
    s.does(Effect::CancelStatement { at, role_arn: s.submits(), statement: id.clone() }).await;
    s.until(&id, is(StatementStatus::Aborted)).await;
}

pub async fn a_statement_that_ended_cannot_be_cancelled(s: &mut Scene) {
    s.make_submitting_role().await;
    let id = s.submit(s.submission("one", 0)).await;
    s.until(&id, |found| found.status.is_ended()).await;
    let at = s.accounts.producer.at();
    let key = (s.submits(), id.clone());
    let seen = s.sees(Read::StatementEnd(at.clone(), key.clone())).await;
    s.holds("its end is told", *seen.statement_end(&at, key).expect("answered"));
    let cancel = Effect::CancelStatement { at: at.clone(), role_arn: s.submits(), statement: id };
    s.refused("ValidationException", Class::Transient, cancel).await;
    let absent = "00000000-0000-4000-8000-000000000000";
    let so = s.statement(absent).await.is_none();
    s.holds("no such statement", so);
    let cancel = Effect::CancelStatement { at, role_arn: s.submits(), statement: absent.into() };
    s.refused("ResourceNotFoundException", Class::Stale, cancel).await;
}

impl Scene {
    /// Submits a statement: its id.
    async fn submit(&mut self, effect: Effect) -> String {
        match self.done(&effect).await {
            Ok(Done::Statement(id)) => {
                self.name(&id, "<statement>");
                id
            }
            other => panic!("{effect}: {other:?}"),
        }
    }

    /// Waits for a statement, without a word: how often it is asked for differs.
    async fn until(&mut self, id: &str, so: impl Fn(&Statement) -> bool) {
        for _ in 0..120 {
            let lines = self.lines.len();
            let found = self.statement(id).await;
            self.lines.truncate(lines);
            if found.as_ref().is_some_and(&so) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.holds("the statement got there", false);
    }
}
