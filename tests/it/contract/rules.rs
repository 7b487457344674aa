//! Rules of security groups: single ones, each with an id and a mark (docs/aws-behaviour.md#security-group-rules).

use super::accounts::{Accounts, Side};
use super::scene::{Scene, consumer, producer};
use redshift_link::aws::effect::{Effect, ResourceId};
use redshift_link::aws::error::Class;
use redshift_link::aws::model::{Direction, Permit, RulePeer};
use redshift_link::aws::read::Read;

const UNKNOWN: &str = "sgr-0123456789abcdef0";

impl Side {
    fn permits(&self, s: &Scene, permit: &Permit) -> Effect {
        Effect::authorize(self.at(), self.group.clone(), permit.clone(), s.tags(&permit.direction.to_string()))
    }

    fn revokes(&self, rule: &str, permit: &Permit) -> Effect {
        Effect::revoke(self.at(), self.group.clone(), rule.into(), permit.clone())
    }

    fn as_peer(&self) -> RulePeer {
        RulePeer::Group { account: self.at().account, id: self.group.clone() }
    }
}

impl Scene {
    /// The id of the rule of a side's group that permits this.
    async fn rule(&mut self, side: fn(&Accounts) -> &Side, permit: &Permit) -> Option<String> {
        let rules = self.rules(side).await;
        rules.into_iter().find(|rule| rule.permit == *permit).map(|rule| rule.id)
    }
}

fn from_block(direction: Direction, block: &str) -> Permit {
    Permit::tcp(direction, 5439, RulePeer::Cidr(block.parse().expect("a block")))
}

pub async fn a_rule_is_made_once_and_marked(s: &mut Scene) {
    let marked = |s: &Scene| Read::MarkedRules(s.accounts.producer.at(), ());
    s.sees(marked(s)).await;
    for direction in [Direction::Ingress, Direction::Egress] {
        let permit = from_block(direction, "10.2.0.0/16");
        s.does(s.accounts.producer.permits(s, &permit)).await;
        s.refused("InvalidPermission.Duplicate", Class::Stale, s.accounts.producer.permits(s, &permit)).await;
        let mut other = s.accounts.producer.permits(s, &permit);
        if let Effect::AuthorizeSecurityGroupIngress { tags, .. } | Effect::AuthorizeSecurityGroupEgress { tags, .. } =
            &mut other
        {
            tags.insert("redshiftlink.dev/name".into(), "another".into());
        }
        s.refused("InvalidPermission.Duplicate", Class::Stale, other).await;
        let rules = s.rules(producer).await;
        let made = rules.iter().find(|rule| rule.permit == permit).expect("made");
        s.holds("it has its tags", made.tags == s.tags(&direction.to_string()));
    }
    let wider = Permit { ports: Some((5000, 6000)), ..from_block(Direction::Ingress, "10.2.0.0/16") };
    let list = Permit::tcp(Direction::Egress, 5439, RulePeer::Other(s.accounts.prefix_list.clone()));
    s.does(s.accounts.producer.permits(s, &wider)).await;
    s.does(s.accounts.consumer.permits(s, &list)).await;
    let at = s.accounts.producer.at();
    let seen = s.sees(marked(s)).await;
    s.holds("three of ours", seen.marked_rules(&at, ()).expect("answered").len() == 3);
    s.rules(consumer).await;
}

pub async fn a_rule_is_revoked_by_its_id(s: &mut Scene) {
    let [inbound, outbound] = [Direction::Ingress, Direction::Egress].map(|way| from_block(way, "10.2.0.0/16"));
    for permit in [&inbound, &outbound] {
        s.does(s.accounts.producer.permits(s, permit)).await;
    }
    let missing = "InvalidSecurityGroupRuleId.NotFound";
    let rule = s.rule(producer, &inbound).await.expect("made");
    let other = s.rule(producer, &outbound).await.expect("made");
    s.refused(missing, Class::Stale, s.accounts.producer.revokes(&other, &inbound)).await;
    s.refused(missing, Class::Stale, s.accounts.producer.revokes(UNKNOWN, &inbound)).await;
    for (id, permit) in [(&rule, &inbound), (&other, &outbound)] {
        s.does(s.accounts.producer.revokes(id, permit)).await;
        s.refused(missing, Class::Stale, s.accounts.producer.revokes(id, permit)).await;
    }
    let left = s.rules(producer).await;
    s.holds("the rules of others stay", left.len() == 1);
}

pub async fn a_group_of_the_other_account_needs_an_active_connection(s: &mut Scene) {
    let permit = Permit::tcp(Direction::Ingress, 5439, s.accounts.consumer.as_peer());
    let rule = s.accounts.producer.permits(s, &permit);
    s.refused("InvalidGroup.NotFound", Class::Stale, rule.clone()).await;
    let id = s.asks(s.request()).await;
    s.refused("InvalidGroup.NotFound", Class::Stale, rule.clone()).await;
    s.does(s.acceptance(&id)).await;
    s.refused("InvalidGroup.NotFound", Class::Stale, rule.clone()).await;
    s.accounts.people.finish_provisioning(&id).await;
    s.does(rule.clone()).await;
    s.refused("InvalidPermission.Duplicate", Class::Stale, rule.clone()).await;
    let back = Permit::tcp(Direction::Egress, 5439, s.accounts.producer.as_peer());
    s.does(s.accounts.consumer.permits(s, &back)).await;
    s.rules(consumer).await;

    s.does(Effect::DeleteVpcPeeringConnection { at: s.accounts.consumer.at(), peering: id }).await;
    let stale = s.rule(producer, &permit).await.expect("it stays");
    s.does(s.accounts.producer.revokes(&stale, &permit)).await;
    s.refused("InvalidGroup.NotFound", Class::Stale, rule).await;
}

pub async fn a_group_of_the_own_network_needs_none(s: &mut Scene) {
    let own = Permit::tcp(Direction::Ingress, 5439, s.accounts.consumer.as_peer());
    s.does(s.accounts.consumer.permits(s, &own)).await;
    let other = Permit::tcp(Direction::Ingress, 5439, s.accounts.elsewhere.as_peer());
    s.refused("InvalidGroup.NotFound", Class::Stale, s.accounts.consumer.permits(s, &other)).await;
    s.rules(consumer).await;
}

pub async fn a_rule_is_given_up_by_its_tags(s: &mut Scene) {
    let permit = from_block(Direction::Egress, "10.1.0.0/16");
    s.does(s.accounts.consumer.permits(s, &permit)).await;
    let rule = s.rule(consumer, &permit).await.expect("made");
    let (at, tags) = (s.accounts.consumer.at(), redshift_link::aws::mark::retained());
    let tagged =
        |id: &str| Effect::CreateTags { at: at.clone(), resource: ResourceId::Known(id.into()), tags: tags.clone() };
    s.does(tagged(&rule)).await;
    s.rules(consumer).await;
    let seen = s.sees(Read::MarkedRules(at.clone(), ())).await;
    s.holds("no longer ours", seen.marked_rules(&at, ()).expect("answered").is_empty());
    let keys = tags.keys().cloned().collect();
    s.does(Effect::DeleteTags { at: at.clone(), resource: rule.clone(), keys }).await;
    s.rules(consumer).await;
    s.does(s.accounts.consumer.revokes(&rule, &permit)).await;
    s.refused("InvalidSecurityGroupRuleId.NotFound", Class::Stale, tagged(&rule)).await;
}

pub async fn a_group_that_is_not_there_is_not_found(s: &mut Scene) {
    let permit = from_block(Direction::Ingress, "10.2.0.0/16");
    let at = s.accounts.producer.at();
    for group in ["sg-0123456789abcdef0".to_owned(), s.accounts.consumer.group.clone()] {
        let tags = s.tags("rule");
        let authorize = Effect::authorize(at.clone(), group.clone(), permit.clone(), tags);
        s.refused("InvalidGroup.NotFound", Class::Stale, authorize).await;
        let revoke = Effect::revoke(at.clone(), group.clone(), UNKNOWN.into(), permit.clone());
        s.refused("InvalidGroup.NotFound", Class::Stale, revoke).await;
        let seen = s.sees(Read::RulesOfGroup(at.clone(), group.clone())).await;
        s.holds("no rules", seen.rules_of_group(&at, group).expect("answered").is_empty());
    }
}
