//! Roles: their names, trust, policies and tags (docs/aws-behaviour.md#roles).

use super::accounts::{BOUNDARY, Side, policy_arn};
use super::scene::{Scene, consumer, producer};
use redshift_link::aws::effect::Effect;
use redshift_link::aws::error::Class;
use redshift_link::aws::mark::{ACCESS_POLICY, RoleKind, consumer_policy};
use redshift_link::aws::model::{Role, Tags};
use redshift_link::aws::policy::{Statement, document, named_aws_principals, same_meaning};
use redshift_link::aws::read::{Gap, Read};
use redshift_link::aws::scope::AccountId;

impl Side {
    pub(super) fn account(&self) -> AccountId {
        self.at().account
    }

    fn boundary(&self) -> String {
        policy_arn(&self.at(), BOUNDARY)
    }

    /// The ARN of a role of ours.
    pub(super) fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/redshift-link/test/{name}", self.account())
    }

    /// A role of ours that trusts these ARNs.
    pub(super) fn role(&self, scene: &Scene, name: &str, trust: String) -> Effect {
        let tags = scene.installation().role_tags(&scene.owner());
        let (path, boundary) = (scene.installation().role_path(), Some(self.boundary()));
        Effect::CreateRole { account: self.account(), path, role: name.into(), trust, boundary, tags }
    }

    pub(super) fn put_policy(&self, role: &str, policy: &str, document: String) -> Effect {
        Effect::PutRolePolicy { account: self.account(), role: role.into(), policy: policy.into(), document }
    }

    fn delete_policy(&self, role: &str, policy: &str) -> Effect {
        Effect::DeleteRolePolicy { account: self.account(), role: role.into(), policy: policy.into() }
    }

    fn trust(&self, role: &str, trust: String) -> Effect {
        Effect::UpdateAssumeRolePolicy { account: self.account(), role: role.into(), trust }
    }

    fn delete_role(&self, role: &str) -> Effect {
        Effect::DeleteRole { account: self.account(), role: role.into() }
    }
}

/// A trust policy as ours is.
fn trusting(arns: &[String]) -> String {
    let enter = Statement::allow("GetIn", &["sts:AssumeRole", "sts:SetSourceIdentity"]).by("AWS", arns.iter().cloned());
    document(&[enter.when("Null", "sts:SourceIdentity", ["false".to_owned()])])
}

fn permitting(action: &str) -> String {
    document(&[Statement::allow("Use", &[action]).on(["*".to_owned()])])
}

impl Scene {
    /// The ARN of the domain's execution role.
    fn studio_role(&self) -> String {
        let (account, name) = (self.accounts.consumer.account(), &self.accounts.execution_roles[0]);
        format!("arn:aws:iam::{account}:role/service-role/{name}")
    }

    /// A role of ours in the producer's account, which trusts the domain's role.
    async fn make_role(&mut self, name: &str) {
        let trust = trusting(&[self.studio_role()]);
        self.does(self.accounts.producer.role(self, name, trust)).await;
    }

    async fn role(&mut self, side: fn(&super::accounts::Accounts) -> &Side, name: &str) -> Option<Role> {
        let at = side(&self.accounts).at();
        let seen = self.sees(Read::Role(at.clone(), name.into())).await;
        seen.role(&at, name).expect("answered").clone()
    }
}

pub async fn a_role_is_as_it_was_made(s: &mut Scene) {
    let (name, trust) = (s.installation().role(RoleKind::Producer, "u1"), trusting(&[s.studio_role()]));
    s.make_role(&name).await;
    let role = s.role(producer, &name).await.expect("made");
    s.holds("the trust says what was written", same_meaning(&role.trust, &trust));
    s.holds("it is known as ours", role.arn == s.accounts.producer.role_arn(&name));
    s.holds("it has the boundary", role.boundary == Some(s.accounts.producer.boundary()));
    s.holds("it has the tags", role.tags == s.installation().role_tags(&s.owner()));
    let at = s.accounts.producer.at();
    s.sees(Read::RolePolicies(at, name)).await;
    let elsewhere = s.accounts.consumer.at();
    s.sees(Read::MarkedRoles(elsewhere, ())).await;
}

pub async fn a_name_is_taken_whatever_its_path_and_case(s: &mut Scene) {
    s.make_role("ours").await;
    let trust = || trusting(&[s.studio_role()]);
    let again = s.accounts.producer.role(s, "ours", trust());
    let louder = s.accounts.producer.role(s, "OURS", trust());
    // this one lies under another path
    let theirs = s.accounts.consumer.role(s, &s.accounts.execution_roles[0], trust());
    for taken in [again, louder, theirs] {
        s.refused("EntityAlreadyExists", Class::Stale, taken).await;
    }
}

pub async fn only_a_role_that_is_there_is_trusted(s: &mut Scene) {
    let absent = s.accounts.producer.role_arn("absent");
    let elsewhere = s.studio_role().replace("/service-role/", "/");
    for wrong in [absent, elsewhere] {
        let made = s.accounts.producer.role(s, "ours", trusting(&[s.studio_role(), wrong]));
        s.refused("MalformedPolicyDocument", Class::Transient, made).await;
    }
    s.make_role("ours").await;
    let absent = trusting(&[s.accounts.producer.role_arn("absent")]);
    s.refused("MalformedPolicyDocument", Class::Transient, s.accounts.producer.trust("ours", absent)).await;
    s.refused("MalformedPolicyDocument", Class::Blocked, s.accounts.producer.trust("ours", "{".into())).await;
    let own = s.role(producer, "ours").await.expect("made").trust;
    s.holds("a refused trust changes nothing", same_meaning(&own, &trusting(&[s.studio_role()])));

    let account = format!("arn:aws:iam::{}:root", s.accounts.consumer.account());
    let wider = trusting(&[s.studio_role(), account]);
    s.does(s.accounts.producer.trust("ours", wider.clone())).await;
    let written = s.role(producer, "ours").await.expect("made").trust;
    s.holds("the new trust", same_meaning(&written, &wider));
}

pub async fn a_trusted_role_that_goes_leaves_a_dead_id(s: &mut Scene) {
    let (friend, both) =
        (s.accounts.producer.role_arn("friend"), [s.studio_role(), s.accounts.producer.role_arn("friend")]);
    s.make_role("friend").await;
    s.does(s.accounts.producer.role(s, "ours", trusting(&both))).await;
    s.does(s.accounts.producer.delete_role("friend")).await;
    let trust = s.role(producer, "ours").await.expect("made").trust;
    let dead = named_aws_principals(&trust).into_iter().find(|who| !who.starts_with("arn:")).unwrap_or_default();
    s.holds("an id stands where the ARN stood", dead.starts_with("AROA"));
    s.refused("MalformedPolicyDocument", Class::Transient, s.accounts.producer.trust("ours", trust)).await;

    s.make_role("friend").await;
    let trust = s.role(producer, "ours").await.expect("made").trust;
    s.holds("another role of the name is not trusted", !named_aws_principals(&trust).contains(&friend));
    s.does(s.accounts.producer.trust("ours", trusting(&both))).await;
    let trust = s.role(producer, "ours").await.expect("made").trust;
    s.holds("until it is written", named_aws_principals(&trust).contains(&friend));
}

pub async fn an_inline_policy_is_written_and_removed(s: &mut Scene) {
    let (at, name) = (s.accounts.consumer.at(), s.accounts.execution_roles[1].clone());
    let policy = consumer_policy("u1");
    let here = Read::RolePolicy(at.clone(), (name.clone(), policy.clone()));
    s.sees(here.clone()).await;
    for action in ["sts:AssumeRole", "sts:SetSourceIdentity"] {
        s.does(s.accounts.consumer.put_policy(&name, &policy, permitting(action))).await;
        let seen = s.sees(here.clone()).await;
        let found = seen.role_policy(&at, (name.clone(), policy.clone())).expect("answered").clone();
        s.holds("it says what was written", found.is_some_and(|found| same_meaning(&found, &permitting(action))));
    }
    let seen = s.sees(Read::RolePolicies(at.clone(), name.clone())).await;
    let names = seen.role_policies(&at, name.clone()).expect("answered").clone().unwrap_or_default();
    s.holds("beside the one that was there", names.inline.len() == 2 && names.inline.contains(&policy));
    s.does(s.accounts.consumer.delete_policy(&name, &policy)).await;
    s.refused("NoSuchEntity", Class::Stale, s.accounts.consumer.delete_policy(&name, &policy)).await;
    s.sees_all([here, Read::RolePolicies(at, name)]).await;
}

pub async fn a_role_with_policies_stays(s: &mut Scene) {
    s.make_role("ours").await;
    s.does(s.accounts.producer.put_policy("ours", ACCESS_POLICY, permitting("redshift:JoinGroup"))).await;
    s.accounts.people.attach(&s.accounts.producer, "ours", true).await;
    let at = s.accounts.producer.at();
    s.sees(Read::RolePolicies(at.clone(), "ours".into())).await;
    s.refused("DeleteConflict", Class::Blocked, s.accounts.producer.delete_role("ours")).await;
    s.does(s.accounts.producer.delete_policy("ours", ACCESS_POLICY)).await;
    s.refused("DeleteConflict", Class::Blocked, s.accounts.producer.delete_role("ours")).await;
    s.accounts.people.attach(&s.accounts.producer, "ours", false).await;
    s.does(s.accounts.producer.delete_role("ours")).await;
    let policy = ("ours".into(), ACCESS_POLICY.into());
    s.sees_all([Read::RolePolicies(at.clone(), "ours".into()), Read::RolePolicy(at, policy)]).await;
    let gone = s.role(producer, "ours").await;
    s.holds("the role is gone", gone.is_none());
}

pub async fn a_role_that_is_not_there_is_not_found(s: &mut Scene) {
    let (side, role) = (&s.accounts.producer, "absent".to_owned());
    let account = side.account();
    let changes = [
        side.delete_role(&role),
        side.delete_policy(&role, ACCESS_POLICY),
        side.put_policy(&role, ACCESS_POLICY, permitting("redshift:JoinGroup")),
        side.trust(&role, trusting(&[s.studio_role()])),
        Effect::TagRole { account: account.clone(), role: role.clone(), tags: Tags::from([("a".into(), "b".into())]) },
        Effect::UntagRole { account: account.clone(), role: role.clone(), keys: vec!["a".into()] },
        Effect::PutRolePermissionsBoundary { account, role, boundary: side.boundary() },
    ];
    for change in changes {
        s.refused("NoSuchEntity", Class::Stale, change).await;
    }
    let none = s.role(producer, "absent").await;
    s.holds("no role", none.is_none());
}

pub async fn a_name_that_no_role_can_have_is_refused(s: &mut Scene) {
    let (at, id) = (s.accounts.producer.at(), ("ours and more".to_owned(), ACCESS_POLICY.to_owned()));
    let seen = s.sees(Read::RolePolicy(at.clone(), id.clone())).await;
    let refused = match seen.role_policy(&at, id) {
        Err(Gap::Refused(error)) => error.code == "ValidationError" && error.class == Class::Terminal,
        _ => false,
    };
    s.holds("refused", refused);
}

pub async fn tags_and_boundary_are_put_back(s: &mut Scene) {
    s.make_role("ours").await;
    let (account, role) = (s.accounts.producer.account(), "ours".to_owned());
    let tag = |key: &str, value: &str| Tags::from([(key.to_owned(), value.to_owned())]);
    for tags in [tag("team", "a"), tag("team", "b"), tag("empty", "")] {
        s.does(Effect::TagRole { account: account.clone(), role: role.clone(), tags }).await;
    }
    let tags = s.role(producer, "ours").await.expect("made").tags;
    s.holds("the last value", tags.get("team").is_some_and(|value| value == "b"));
    let keys = vec!["team".to_owned(), "never".to_owned()];
    s.does(Effect::UntagRole { account: account.clone(), role: role.clone(), keys }).await;
    let boundary = s.accounts.producer.boundary();
    s.does(Effect::PutRolePermissionsBoundary { account: account.clone(), role: role.clone(), boundary }).await;
    let boundary = policy_arn(&s.accounts.producer.at(), "absent");
    s.refused("NoSuchEntity", Class::Blocked, Effect::PutRolePermissionsBoundary { account, role, boundary }).await;
    let mut bounded = s.accounts.producer.role(s, "other", trusting(&[s.studio_role()]));
    if let Effect::CreateRole { boundary, .. } = &mut bounded {
        *boundary = Some(policy_arn(&s.accounts.producer.at(), "absent"));
    }
    s.refused("NoSuchEntity", Class::Blocked, bounded).await;
    s.role(producer, "ours").await;
}

pub async fn the_roles_under_our_path_are_listed(s: &mut Scene) {
    for name in ["ours-1", "ours-2", "ours-3"] {
        s.make_role(name).await;
    }
    let mut deeper = s.accounts.producer.role(s, "deeper", trusting(&[s.studio_role()]));
    if let Effect::CreateRole { path, .. } = &mut deeper {
        path.push_str("more/");
    }
    s.does(deeper).await;
    let at = s.accounts.producer.at();
    let seen = s.sees(Read::MarkedRoles(at.clone(), ())).await;
    let roles = seen.marked_roles(&at, ()).expect("answered").clone();
    s.holds("all of them", roles.len() == 4);
    s.holds("without tags and boundary", roles.iter().all(|role| role.tags.is_empty() && role.boundary.is_none()));
    let at = s.accounts.consumer.at();
    let seen = s.sees(Read::MarkedRoles(at.clone(), ())).await;
    let none = seen.marked_roles(&at, ()).expect("answered").is_empty();
    s.holds("none of others", none);
    s.role(consumer, &s.accounts.execution_roles[0].clone()).await;
}

pub async fn documents_have_a_size(s: &mut Scene) {
    let at = s.accounts.producer.at();
    let seen = s.sees(Read::TrustPolicyQuota(at.clone(), ())).await;
    let quota = seen.trust_policy_quota(&at, ()).expect("answered").expect("a quota");
    let of_size = |size: usize| {
        let text = |filler: usize| {
            let enter = Statement::allow("GetIn", &["sts:AssumeRole"]).by("AWS", [s.studio_role()]);
            document(&[enter.when("StringEquals", "sts:ExternalId", ["x".repeat(filler)])])
        };
        text(size - text(0).len())
    };
    let (fits, too_large) = (of_size(quota), of_size(quota + 1));
    s.refused("LimitExceeded", Class::Blocked, s.accounts.producer.role(s, "ours", too_large.clone())).await;
    s.does(s.accounts.producer.role(s, "ours", fits)).await;
    s.refused("LimitExceeded", Class::Blocked, s.accounts.producer.trust("ours", too_large)).await;
    // all inline policies of a role together may have 10,240 characters
    let half = |letter: &str| {
        let group = format!("arn:aws:redshift:eu-west-1:111122223333:dbgroup:warehouse/{}", letter.repeat(5100));
        document(&[Statement::allow("Use", &["redshift:JoinGroup"]).on([group])])
    };
    s.does(s.accounts.producer.put_policy("ours", "first", half("a"))).await;
    s.refused("LimitExceeded", Class::Blocked, s.accounts.producer.put_policy("ours", "second", half("b"))).await;
    s.does(s.accounts.producer.put_policy("ours", "first", half("c"))).await;
}
