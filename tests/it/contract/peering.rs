//! Connections: who sees, accepts, marks and deletes them, and when (docs/aws-behaviour.md#vpc-peering).

use super::accounts::Side;
use super::scene::{Scene, consumer, producer};
use redshift_link::aws::effect::{Effect, PeeringSide, ResourceId};
use redshift_link::aws::error::Class;
use redshift_link::aws::model::{PeeringStatus, Tags};
use redshift_link::aws::scope::VpcRef;
use std::time::Duration;
use tokio::time::Instant;

const UNKNOWN: &str = "pcx-0123456789abcdef0";

fn known(id: &str) -> ResourceId {
    ResourceId::Known(id.to_owned())
}

impl Side {
    fn accepts(&self, id: &str) -> Effect {
        Effect::AcceptVpcPeeringConnection { at: self.at(), peering: known(id) }
    }

    fn deletes(&self, id: &str) -> Effect {
        Effect::DeleteVpcPeeringConnection { at: self.at(), peering: id.to_owned() }
    }

    fn resolves(&self, id: &str, side: PeeringSide, resolve_remote_dns: bool) -> Effect {
        Effect::ModifyVpcPeeringConnectionOptions { at: self.at(), peering: known(id), side, resolve_remote_dns }
    }

    fn tags(&self, id: &str, tags: Tags) -> Effect {
        Effect::CreateTags { at: self.at(), resource: known(id), tags }
    }
}

impl Scene {
    fn asking(&self, from: VpcRef, to: VpcRef, key: &str) -> Effect {
        Effect::CreateVpcPeeringConnection { from, to, tags: self.tags(key) }
    }
}

pub async fn a_request_is_seen_by_both_and_marked_for_one(s: &mut Scene) {
    let id = s.asks(s.request()).await;
    s.both_see(&id, PeeringStatus::PendingAcceptance).await;
    let (ours, theirs) = (s.tags("peering"), s.tags("other"));
    let seen = s.peering(consumer, &id).await.expect("seen");
    s.holds("the tags of the request", seen.tags == ours);
    let seen = s.peering(producer, &id).await.expect("seen");
    s.holds("no tags of the other account", seen.tags.is_empty());
    s.does(s.accounts.producer.tags(&id, theirs.clone())).await;
    let (one, other) = (s.peering(consumer, &id).await, s.peering(producer, &id).await);
    s.holds("each its own", one.is_some_and(|p| p.tags == ours) && other.is_some_and(|p| p.tags == theirs));
    let keys = theirs.keys().chain([&"redshiftlink.dev/never".to_owned()]).cloned().collect();
    s.does(Effect::DeleteTags { at: s.accounts.producer.at(), resource: id.clone(), keys }).await;
    let (one, other) = (s.peering(consumer, &id).await, s.peering(producer, &id).await);
    s.holds("one's own only", one.is_some_and(|p| p.tags == ours) && other.is_some_and(|p| p.tags.is_empty()));
}

pub async fn the_same_pair_again_is_the_same_connection(s: &mut Scene) {
    let id = s.asks(s.request()).await;
    let again = s.asking(s.accounts.consumer.vpc.clone(), s.accounts.producer.vpc.clone(), "again");
    let same = s.asks(again.clone()).await;
    s.holds("the same id", same == id);
    s.does(s.acceptance(&id)).await;
    s.accounts.people.finish_provisioning(&id).await;
    let same = s.asks(again).await;
    s.holds("the same id of an active one", same == id);
    let seen = s.peering(consumer, &id).await.expect("seen");
    s.holds("the tags of the first request", seen.tags == s.tags("peering"));
}

pub async fn the_reversed_pair_cannot_be_joined_too(s: &mut Scene) {
    let id = s.asks(s.request()).await;
    let reversed = s.asking(s.accounts.producer.vpc.clone(), s.accounts.consumer.vpc.clone(), "reversed");
    let other = s.asks(reversed).await;
    s.holds("another id", other != id);
    s.both_see(&other, PeeringStatus::PendingAcceptance).await;
    s.does(s.acceptance(&id)).await;
    let both = s.accounts.consumer.accepts(&other);
    s.refused("VpcPeeringConnectionAlreadyExists", Class::Stale, both.clone()).await;
    s.accounts.people.finish_provisioning(&id).await;
    s.refused("VpcPeeringConnectionAlreadyExists", Class::Stale, both).await;
    s.both_see(&other, PeeringStatus::PendingAcceptance).await;
    s.both_see(&id, PeeringStatus::Active).await;
}

pub async fn a_request_is_accepted_once_and_by_the_accepter(s: &mut Scene) {
    let id = s.asks(s.request()).await;
    s.refused("OperationNotPermitted", Class::Blocked, s.accounts.consumer.accepts(&id)).await;
    s.does(s.acceptance(&id)).await;
    s.both_see(&id, PeeringStatus::Provisioning).await;
    s.refused("InvalidStateTransition", Class::Stale, s.acceptance(&id)).await;
    s.accounts.people.finish_provisioning(&id).await;
    s.both_see(&id, PeeringStatus::Active).await;
    s.refused("InvalidStateTransition", Class::Stale, s.acceptance(&id)).await;
}

pub async fn an_accepted_connection_becomes_active_by_itself(s: &mut Scene) {
    let patience = s.accounts.people.let_time_provision().await * 20;
    let id = s.asks(s.request()).await;
    s.does(s.acceptance(&id)).await;
    let (before, end) = (s.lines.len(), Instant::now() + patience);
    loop {
        let status = s.peering(producer, &id).await.expect("seen").status;
        s.holds("provisioning, then active", [PeeringStatus::Provisioning, PeeringStatus::Active].contains(&status));
        if status == PeeringStatus::Active || Instant::now() > end {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // how often it was looked at is no part of the contract
    s.lines.truncate(before);
    s.both_see(&id, PeeringStatus::Active).await;
}

pub async fn a_request_that_ended_is_no_connection(s: &mut Scene) {
    for end in [PeeringStatus::Rejected, PeeringStatus::Expired] {
        let id = s.asks(s.request()).await;
        s.accounts.people.end_request(&id, end).await;
        s.both_see(&id, end).await;
        s.refused("InvalidStateTransition", Class::Stale, s.acceptance(&id)).await;
        s.refused("InvalidStateTransition", Class::Stale, s.accounts.consumer.deletes(&id)).await;
        let other = s.asks(s.request()).await;
        s.holds("a new request", other != id);
        s.does(s.accounts.consumer.deletes(&other)).await;
    }
}

pub async fn options_need_an_active_connection(s: &mut Scene) {
    let id = s.asks(s.request()).await;
    s.does(s.accounts.producer.tags(&id, s.tags("peering"))).await;
    let accepter = |s: &Scene, on| s.accounts.producer.resolves(&id, PeeringSide::Accepter, on);
    let requester = |s: &Scene, on| s.accounts.consumer.resolves(&id, PeeringSide::Requester, on);
    s.refused("OperationNotPermitted", Class::Transient, accepter(s, true)).await;
    s.does(s.acceptance(&id)).await;
    s.refused("OperationNotPermitted", Class::Transient, accepter(s, true)).await;
    s.accounts.people.finish_provisioning(&id).await;
    s.does(accepter(s, true)).await;
    for side in [producer, consumer] {
        let seen = s.peering(side, &id).await.expect("seen");
        s.holds("the accepter's side only", (seen.accepter_dns, seen.requester_dns) == (true, false));
    }
    s.does(requester(s, true)).await;
    s.does(accepter(s, false)).await;
    let seen = s.peering(consumer, &id).await.expect("seen");
    s.holds("the requester's side only", (seen.accepter_dns, seen.requester_dns) == (false, true));
    let foreign = s.accounts.producer.resolves(&id, PeeringSide::Requester, true);
    s.refused("OperationNotPermitted", Class::Blocked, foreign).await;
}

pub async fn names_are_resolved_only_with_host_names(s: &mut Scene) {
    let id = s.join().await;
    s.accounts.people.set_hostnames(&s.accounts.consumer, false).await;
    let resolve = |s: &Scene, on| s.accounts.producer.resolves(&id, PeeringSide::Accepter, on);
    let disabled = "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled";
    s.refused(disabled, Class::Blocked, resolve(s, true)).await;
    s.does(resolve(s, false)).await;
    s.accounts.people.set_hostnames(&s.accounts.consumer, true).await;
    s.does(resolve(s, true)).await;
    s.peering(producer, &id).await;
}

pub async fn what_cannot_be_joined_fails(s: &mut Scene) {
    s.accounts.people.add_block(&s.accounts.elsewhere, "10.1.128.0/17".parse().expect("a block")).await;
    let producer_vpc = s.accounts.producer.vpc.clone();
    let nowhere = VpcRef { id: "vpc-0123456789abcdef0".into(), ..producer_vpc.clone() };
    let overlapping = s.asking(s.accounts.elsewhere.vpc.clone(), producer_vpc.clone(), "overlapping");
    let lost = s.asking(s.accounts.consumer.vpc.clone(), nowhere.clone(), "nowhere");
    for request in [overlapping, lost] {
        let id = s.asks(request.clone()).await;
        s.both_see(&id, PeeringStatus::Failed).await;
        s.refused("InvalidStateTransition", Class::Stale, s.acceptance(&id)).await;
        s.refused("InvalidStateTransition", Class::Stale, s.accounts.consumer.deletes(&id)).await;
        let other = s.asks(request).await;
        s.holds("another each time", other != id);
    }
    s.refused("InvalidVpcID.NotFound", Class::Stale, s.asking(nowhere, s.accounts.consumer.vpc.clone(), "lost")).await;
    let here = VpcRef { at: s.accounts.consumer.at(), ..producer_vpc };
    s.refused("InvalidVpcID.NotFound", Class::Stale, s.asking(s.accounts.consumer.vpc.clone(), here, "lost")).await;
    let itself = s.accounts.consumer.vpc.clone();
    s.refused("InvalidParameterValue", Class::Terminal, s.asking(itself.clone(), itself, "itself")).await;
}

pub async fn a_connection_is_deleted_once(s: &mut Scene) {
    let id = s.asks(s.request()).await;
    s.does(s.accounts.producer.tags(&id, s.tags("peering"))).await;
    s.refused("OperationNotPermitted", Class::Blocked, s.accounts.producer.deletes(&id)).await;
    s.does(s.accounts.consumer.deletes(&id)).await;
    s.both_see(&id, PeeringStatus::Deleted).await;
    s.refused("InvalidStateTransition", Class::Stale, s.accounts.consumer.deletes(&id)).await;
    s.refused("InvalidStateTransition", Class::Stale, s.acceptance(&id)).await;

    let other = s.join().await;
    s.holds("a new request", other != id);
    s.does(s.accounts.producer.deletes(&other)).await;
    s.both_see(&other, PeeringStatus::Deleted).await;
    s.refused("InvalidStateTransition", Class::Stale, s.accounts.consumer.deletes(&other)).await;
    let resolve = s.accounts.producer.resolves(&other, PeeringSide::Accepter, true);
    s.refused("OperationNotPermitted", Class::Transient, resolve).await;
}

pub async fn an_unknown_connection_is_not_found(s: &mut Scene) {
    let side = &s.accounts.producer;
    let keys = vec!["redshiftlink.dev/key".to_owned()];
    let changes = [
        side.accepts(UNKNOWN),
        side.deletes(UNKNOWN),
        side.resolves(UNKNOWN, PeeringSide::Accepter, true),
        side.tags(UNKNOWN, s.tags("peering")),
        Effect::DeleteTags { at: side.at(), resource: UNKNOWN.into(), keys },
    ];
    for change in changes {
        s.refused("InvalidVpcPeeringConnectionID.NotFound", Class::Stale, change).await;
    }
    let none = s.peering(producer, UNKNOWN).await;
    s.holds("none", none.is_none());
}
