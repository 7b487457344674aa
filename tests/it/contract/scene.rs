//! One property as it runs: what is asked of the accounts and what they answer, told in words that do not depend on who
//! keeps them.

use super::accounts::{Accounts, INSTALLATION, Side};
use redshift_link::aws::effect::{Done, Effect, EffectKind, ResourceId};
use redshift_link::aws::error::{AwsError, Class};
use redshift_link::aws::mark::{Installation, Owner};
use redshift_link::aws::model::{Peering, PeeringStatus, Role, Route, RouteTable, Rule, Tags};
use redshift_link::aws::moment::{Freshness, Moment};
use redshift_link::aws::policy::meaning;
use redshift_link::aws::read::{Answer, Read, Seen};
use redshift_link::aws::shared::SharedReads;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

pub struct Scene {
    pub accounts: Accounts,
    /// What was asked, and what was answered.
    pub lines: Vec<String>,
    /// What was promised, and is not so.
    pub broken: Vec<String>,
    /// What was executed.
    pub executed: BTreeSet<EffectKind>,
    /// The kinds of what was read, named as the port's methods.
    pub read: BTreeSet<String>,
    reads: SharedReads,
    names: BTreeMap<String, String>,
    met: Vec<String>,
}

impl Scene {
    pub fn new(accounts: Accounts) -> Self {
        let (names, reads) = (accounts.names(), SharedReads::new(accounts.reads.clone()));
        let (lines, broken, executed, read, met) = (vec![], vec![], BTreeSet::new(), BTreeSet::new(), vec![]);
        Self { accounts, lines, broken, executed, read, reads, names, met }
    }

    /// The word for an id that was given while this runs.
    pub fn name(&mut self, id: &str, word: &str) {
        self.names.insert(id.into(), word.into());
    }

    /// Something that has to be so.
    pub fn holds(&mut self, what: &str, so: bool) {
        if !so {
            let after = self.lines.last().cloned().unwrap_or_default();
            self.broken.push(format!("not so: {what}, after: {after}"));
        }
    }

    /// An effect that has to succeed.
    pub async fn does(&mut self, effect: Effect) {
        let done = self.try_to(&effect).await.is_ok();
        self.holds(&format!("{effect} is done"), done);
        self.executed.extend(done.then(|| effect.kind()));
    }

    /// A request for a connection, which has to succeed: its id.
    pub async fn asks(&mut self, request: Effect) -> String {
        match self.try_to(&request).await {
            Ok(Done::Peering(id)) => {
                self.executed.insert(request.kind());
                let told = self.plain(&format!("it is {id}"));
                self.lines.push(told);
                id
            }
            other => panic!("{request}: {other:?}"),
        }
    }

    /// An effect that has to be refused with this code, of this class.
    pub async fn refused(&mut self, code: &str, class: Class, effect: Effect) {
        let answer = self.try_to(&effect).await;
        let so = answer.is_err_and(|error| error.code == code && error.class == class);
        self.holds(&format!("{code} {class:?}"), so);
    }

    /// An effect that has to succeed, and what it gives.
    pub async fn done(&mut self, effect: &Effect) -> Result<Done, AwsError> {
        let answer = self.try_to(effect).await;
        self.executed.extend(answer.is_ok().then(|| effect.kind()));
        answer
    }

    async fn try_to(&mut self, effect: &Effect) -> Result<Done, AwsError> {
        let answer = self.accounts.effects.execute(effect).await;
        let outcome = match &answer {
            Ok(_) => "done".to_owned(),
            Err(error) => refusal(error),
        };
        let line = self.plain(&format!("{effect} in {}: {outcome}", effect.place().0));
        self.lines.push(line);
        answer
    }

    /// What is read, which has to be answered.
    pub async fn sees(&mut self, read: Read) -> Seen {
        self.sees_all([read]).await
    }

    /// Things that are read at once.
    pub async fn sees_all(&mut self, wanted: impl IntoIterator<Item = Read>) -> Seen {
        let wanted: BTreeSet<Read> = wanted.into_iter().collect();
        self.read.extend(wanted.iter().map(method));
        let fresh = Freshness { after: Moment::now(), age: Duration::from_secs(60) };
        let mut seen = Seen::default();
        let mut lines = vec![];
        for answer in self.reads.look(wanted, |_| fresh).await {
            seen.insert(answer.clone());
            lines.push(self.told(answer));
        }
        lines.sort();
        self.lines.extend(lines);
        seen
    }

    /// An answer in plain words. What AWS promises no order of is put in one, documents are told by their meaning, and
    /// texts for people are left out.
    fn told(&mut self, answer: Answer) -> String {
        let answer = match answer {
            Answer::PrefixList(_, id, Err(error)) => {
                return self.plain(&format!("PrefixList {id}: {}", refusal(&error)));
            }
            Answer::RolePolicy(_, id, Err(error)) => {
                return self.plain(&format!("RolePolicy {id:?}: {}", refusal(&error)));
            }
            Answer::Cluster(at, id, Ok(Some(mut cluster))) => {
                cluster.address = cluster.address.map(|_| "a host name".into());
                Answer::Cluster(at, id, Ok(Some(cluster)))
            }
            // when, and how far, differs from one run to the next
            Answer::Objects(_, id, Ok(listing)) => {
                let sizes: BTreeMap<_, _> = listing.objects.iter().map(|(key, object)| (key, object.size)).collect();
                return self.plain(&format!("Objects {id:?}: {sizes:?}"));
            }
            Answer::Statement(_, (_, id), Ok(found)) => {
                let id = self.plain(&id);
                return format!("Statement {id}: {}", if found.is_some() { "there" } else { "not there" });
            }
            Answer::StatementEnd(_, _, Ok(ended)) => return format!("StatementEnd: {ended}"),
            Answer::StatementsNamed(_, (_, _, name), Ok(found)) => {
                let ids: Vec<_> = found.iter().map(|statement| self.plain(&statement.id)).collect();
                return format!("StatementsNamed {name}: {ids:?}");
            }
            Answer::Manifest(at, id, Ok(Some(Err(_)))) => Answer::Manifest(at, id, Ok(Some(Err("unreadable".into())))),
            Answer::Role(at, id, Ok(Some(role))) => Answer::Role(at, id, Ok(Some(by_meaning(role)))),
            Answer::MarkedRoles(at, (), Ok(roles)) => {
                let roles = roles.into_iter().map(by_meaning).collect();
                Answer::MarkedRoles(at, (), Ok(self.sorted(roles, |role| role.name.clone())))
            }
            Answer::RolePolicy(at, id, Ok(Some(document))) => Answer::RolePolicy(at, id, Ok(Some(said(&document)))),
            Answer::BucketPolicy(at, id, Ok(Some(policy))) => Answer::BucketPolicy(at, id, Ok(Some(said(&policy)))),
            Answer::KeyPolicy(at, id, Ok(Some(policy))) => Answer::KeyPolicy(at, id, Ok(Some(said(&policy)))),
            Answer::EndpointsOfVpc(at, id, Ok(mut endpoints)) => {
                for endpoint in &mut endpoints {
                    endpoint.policy = endpoint.policy.take().map(|policy| said(&policy));
                }
                Answer::EndpointsOfVpc(at, id, Ok(self.sorted(endpoints, |endpoint| endpoint.tables.clone())))
            }
            Answer::Peerings(at, (), Ok(mut all)) => {
                all.iter_mut().for_each(|peering| peering.status_message.clear());
                Answer::Peerings(at, (), Ok(self.sorted(all, |peering| peering.clone())))
            }
            Answer::TablesOfVpc(at, id, Ok(tables)) => Answer::TablesOfVpc(at, id, Ok(self.sorted_tables(tables))),
            Answer::TablesThrough(at, id, Ok(tables)) => Answer::TablesThrough(at, id, Ok(self.sorted_tables(tables))),
            Answer::RulesOfGroup(at, id, Ok(rules)) => {
                Answer::RulesOfGroup(at, id, Ok(self.sorted(rules, |rule| rule.permit.clone())))
            }
            Answer::MarkedRules(at, (), Ok(rules)) => {
                Answer::MarkedRules(at, (), Ok(self.sorted(rules, |rule| rule.permit.clone())))
            }
            other => other,
        };
        let text = format!("{answer:?}");
        // the answer of any kind of read; none but that above is refused in a contract that is kept
        self.holds(&text, !text.contains("Err(AwsError {"));
        self.plain(&text)
    }

    fn sorted<T, K: Debug>(&mut self, mut all: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
        all.sort_by_cached_key(|item| self.plain(&format!("{:?}", key(item))));
        all
    }

    fn sorted_tables(&mut self, mut tables: Vec<RouteTable>) -> Vec<RouteTable> {
        for table in &mut tables {
            table.routes = self.sorted(std::mem::take(&mut table.routes), |route| route.destination.to_string());
        }
        self.sorted(tables, |table| table.id.clone())
    }

    /// The text with words for ids: names for what was there before, numbers for what was made.
    fn plain(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, word) in &self.names {
            text = text.replace(id, word);
        }
        for prefix in ["pcx-", "sgr-", "vpce-", "AROA"] {
            while let Some(start) = text.find(prefix) {
                let rest = &text[start + prefix.len()..];
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                let end = start + prefix.len() + length;
                let id = text[start..end].to_owned();
                if !self.met.contains(&id) {
                    self.met.push(id.clone());
                }
                let number = self.met.iter().filter(|met| met.starts_with(prefix)).position(|met| *met == id);
                let word =
                    format!("<{} {}>", prefix.trim_end_matches('-').to_lowercase(), number.unwrap_or_default() + 1);
                text.replace_range(start..end, &word);
            }
        }
        sorted_sets(&text)
    }
}

/// What each property needs of links.
impl Scene {
    pub fn installation(&self) -> Installation {
        Installation::new(INSTALLATION).expect("a good id")
    }

    pub fn owner(&self) -> Owner {
        Owner { uid: "u1".into(), namespace: "ml".into(), name: "warehouse".into() }
    }

    /// The tags of something of ours with this natural key.
    pub fn tags(&self, key: &str) -> Tags {
        self.installation().tags(&self.owner(), key)
    }

    /// The consumer's request for a connection with the producer.
    pub fn request(&self) -> Effect {
        let (from, to) = (self.accounts.consumer.vpc.clone(), self.accounts.producer.vpc.clone());
        Effect::CreateVpcPeeringConnection { from, to, tags: self.tags("peering") }
    }

    /// The producer's acceptance.
    pub fn acceptance(&self, id: &str) -> Effect {
        Effect::AcceptVpcPeeringConnection { at: self.accounts.producer.at(), peering: ResourceId::Known(id.into()) }
    }

    /// An active connection between consumer and producer, marked on both sides.
    pub async fn join(&mut self) -> String {
        let id = self.asks(self.request()).await;
        self.does(self.acceptance(&id)).await;
        let (at, resource) = (self.accounts.producer.at(), ResourceId::Known(id.clone()));
        self.does(Effect::CreateTags { at, resource, tags: self.tags("peering") }).await;
        self.accounts.people.finish_provisioning(&id).await;
        id
    }

    /// A connection as a side sees it.
    pub async fn peering(&mut self, side: fn(&Accounts) -> &Side, id: &str) -> Option<Peering> {
        let at = side(&self.accounts).at();
        let seen = self.sees(Read::Peerings(at.clone(), ())).await;
        seen.peerings(&at, ()).expect("answered").iter().find(|peering| peering.id == id).cloned()
    }

    /// Both sides see the connection in this state.
    pub async fn both_see(&mut self, id: &str, status: PeeringStatus) {
        for side in [producer, consumer] {
            let seen = self.peering(side, id).await.map(|peering| peering.status);
            self.holds(&format!("{id} is {status:?}, not {seen:?}"), seen == Some(status));
        }
    }

    /// The routes of the table with this number on a side.
    pub async fn routes(&mut self, side: fn(&Accounts) -> &Side, table: usize) -> Vec<Route> {
        let side = side(&self.accounts);
        let (at, vpc, table) = (side.at(), side.vpc.id.clone(), side.tables[table].clone());
        let seen = self.sees(Read::TablesOfVpc(at.clone(), vpc.clone())).await;
        let tables = seen.tables_of_vpc(&at, vpc).expect("answered");
        tables.iter().find(|found| found.id == table).expect("a table").routes.clone()
    }

    /// The rules of a side's group.
    pub async fn rules(&mut self, side: fn(&Accounts) -> &Side) -> Vec<Rule> {
        let (at, group) = (side(&self.accounts).at(), side(&self.accounts).group.clone());
        let seen = self.sees(Read::RulesOfGroup(at.clone(), group.clone())).await;
        seen.rules_of_group(&at, group).expect("answered").clone()
    }
}

pub fn producer(accounts: &Accounts) -> &Side {
    &accounts.producer
}

pub fn consumer(accounts: &Accounts) -> &Side {
    &accounts.consumer
}

/// Code, class and everything else by which the program decides; AWS's text is for people.
fn refusal(error: &AwsError) -> String {
    let AwsError { account, region, operation, resource, code, class, .. } = error;
    let flags = [
        (error.is_not_found(), " not-found"),
        (error.is_already_there(), " already-there"),
        (error.is_denied(), " denied"),
        (error.is_ambiguous(), " ambiguous"),
    ];
    let flags: String = flags.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    let place = region.as_ref().map_or_else(|| account.to_string(), |region| format!("{account}/{region}"));
    format!("refused {code} {class:?} {}{flags}, by {operation} on {resource} in {place}", error.reason())
}

/// The name of the port's method for a kind of read.
fn method(read: &Read) -> String {
    let kind = format!("{read:?}");
    let kind = kind.split('(').next().unwrap_or_default();
    let words = kind.chars().enumerate().flat_map(|(n, c)| {
        let gap = (n > 0 && c.is_ascii_uppercase()).then_some('_');
        gap.into_iter().chain(std::iter::once(c.to_ascii_lowercase()))
    });
    words.collect()
}

fn by_meaning(role: Role) -> Role {
    Role { trust: said(&role.trust), ..role }
}

/// What a policy document says, without quotes that would have to be escaped.
fn said(document: &str) -> String {
    meaning(document).map_or_else(|| document.to_owned(), |meaning| format!("{meaning:?}").replace('"', "'"))
}

/// Sets of ids are in another order once the ids are words.
fn sorted_sets(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(end) = rest.find('}') {
        let start = rest[..end].rfind('{').map_or(0, |start| start + 1);
        let mut items: Vec<&str> = rest[start..end].split(", ").collect();
        if items.iter().all(|item| item.starts_with(['"', '\''])) {
            items.sort_unstable();
        }
        out += &rest[..start];
        out += &items.join(", ");
        out.push('}');
        rest = &rest[end + 1..];
    }
    out + rest
}
