//! SageMaker: Studio domains, their user profiles and apps.

use super::{Call, Sdk, absent};
use crate::aws::error::{Look, Operation, Service};
use crate::aws::model::{App, Domain, StudioUsers, names_a_database_user};
use crate::aws::read::Found;
use crate::aws::scope::Scope;
use aws_sdk_sagemaker::types::{
    AppNetworkAccessType, AppStatus, ExecutionRoleIdentityConfig, UserProfileDetails, UserSettings,
};
use aws_smithy_types::DateTime;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

const DESCRIBE_DOMAIN: Operation = Operation::new(Service::SageMaker, "DescribeDomain");
const LIST_USER_PROFILES: Operation = Operation::new(Service::SageMaker, "ListUserProfiles");
const DESCRIBE_USER_PROFILE: Operation = Operation::new(Service::SageMaker, "DescribeUserProfile");
const LIST_APPS: Operation = Operation::new(Service::SageMaker, "ListApps");
const PAGE: i32 = 100;

/// Profiles described before, with the time they were last changed: a listing tells when that moves.
#[derive(Default)]
pub(super) struct ProfileCache(Mutex<HashMap<(Scope, String), Described>>);

/// The profiles of one domain, by name.
type Described = HashMap<String, (DateTime, StudioUsers)>;

pub(super) async fn domains(sdk: &Sdk, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Domain>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for id in ids {
        let request = session.clients.sagemaker.describe_domain().domain_id(id).send();
        let answer = absent(sdk.call(Call::read(at, DESCRIBE_DOMAIN, id), request).await)?;
        let domain = answer.map(|answer| {
            let mut defaults = users(answer.default_user_settings.as_ref());
            if let Some(spaces) = &answer.default_space_settings {
                defaults.execution_roles.extend(spaces.execution_role.clone());
                defaults.security_groups.extend(spaces.security_groups().iter().cloned());
            }
            let config = answer.domain_settings.as_ref().and_then(|settings| settings.execution_role_identity_config());
            Domain {
                id: id.clone(),
                status: answer.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
                vpc: answer.vpc_id.filter(|vpc| !vpc.is_empty()),
                subnets: answer.subnet_ids.unwrap_or_default().into_iter().collect(),
                vpc_only: answer.app_network_access_type == Some(AppNetworkAccessType::VpcOnly),
                passes_source_identity: config == Some(&ExecutionRoleIdentityConfig::UserProfileName),
                defaults,
            }
        });
        found.insert(id.clone(), domain);
    }
    Ok(found)
}

fn users(settings: Option<&UserSettings>) -> StudioUsers {
    let Some(settings) = settings else { return StudioUsers::default() };
    StudioUsers {
        execution_roles: settings.execution_role.iter().cloned().collect(),
        security_groups: settings.security_groups().iter().cloned().collect(),
        unfit: BTreeSet::new(),
    }
}

pub(super) async fn user_profiles(
    sdk: &Sdk,
    at: &Scope,
    domains: &BTreeSet<String>,
) -> Look<Found<String, StudioUsers>> {
    let mut found = Found::new();
    for domain in domains {
        let mut all = StudioUsers::default();
        let mut there = BTreeSet::new();
        for profile in list_profiles(sdk, at, domain).await? {
            let (Some(name), Some(changed)) = (profile.user_profile_name, profile.last_modified_time) else { continue };
            let known = sdk.profiles.get(at, domain, &name, changed);
            let own = match known {
                Some(own) => Some(own),
                None => describe_profile(sdk, at, domain, &name).await?,
            };
            let Some(own) = own else { continue };
            all.execution_roles.extend(own.execution_roles.iter().cloned());
            all.security_groups.extend(own.security_groups.iter().cloned());
            if !names_a_database_user(&name) {
                all.unfit.insert(name.clone());
            }
            // at once: a large domain may take more loops than one
            sdk.profiles.put(at, domain, &name, (changed, own));
            there.insert(name);
        }
        sdk.profiles.keep(at, domain, &there);
        found.insert(domain.clone(), all);
    }
    Ok(found)
}

async fn list_profiles(sdk: &Sdk, at: &Scope, domain: &str) -> Look<Vec<UserProfileDetails>> {
    let session = sdk.sessions.enter(at).await?;
    let (mut profiles, mut next) = (vec![], None);
    loop {
        let request = session.clients.sagemaker.list_user_profiles();
        let request = request.domain_id_equals(domain).max_results(PAGE).set_next_token(next).send();
        let Some(page) = absent(sdk.call(Call::read(at, LIST_USER_PROFILES, domain), request).await)? else {
            return Ok(vec![]);
        };
        profiles.extend(page.user_profiles.unwrap_or_default());
        next = page.next_token;
        if next.is_none() {
            return Ok(profiles);
        }
    }
}

/// None where the profile went while the list was read.
async fn describe_profile(sdk: &Sdk, at: &Scope, domain: &str, name: &str) -> Look<Option<StudioUsers>> {
    let session = sdk.sessions.enter(at).await?;
    let request = session.clients.sagemaker.describe_user_profile().domain_id(domain).user_profile_name(name).send();
    let answer = absent(sdk.call(Call::read(at, DESCRIBE_USER_PROFILE, name), request).await)?;
    Ok(answer.map(|answer| users(answer.user_settings.as_ref())))
}

pub(super) async fn live_apps(sdk: &Sdk, at: &Scope, domains: &BTreeSet<String>) -> Look<Found<String, Vec<App>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for domain in domains {
        let (mut apps, mut next) = (vec![], None);
        loop {
            let request = session.clients.sagemaker.list_apps();
            let request = request.domain_id_equals(domain).max_results(PAGE).set_next_token(next).send();
            let page = sdk.call(Call::read(at, LIST_APPS, domain), request).await?;
            apps.extend(page.apps.unwrap_or_default().into_iter().filter_map(|app| {
                let ended = matches!(app.status, Some(AppStatus::Deleted | AppStatus::Failed));
                (!ended).then(|| App {
                    owner: app.user_profile_name.or(app.space_name).unwrap_or_default(),
                    kind: app.app_type.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
                    name: app.app_name.unwrap_or_default(),
                    status: app.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
                })
            }));
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        found.insert(domain.clone(), apps);
    }
    Ok(found)
}

impl ProfileCache {
    fn get(&self, at: &Scope, domain: &str, name: &str, changed: DateTime) -> Option<StudioUsers> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (described, users) = cache.get(&(at.clone(), domain.to_owned()))?.get(name)?;
        (*described == changed).then(|| users.clone())
    }

    fn put(&self, at: &Scope, domain: &str, name: &str, profile: (DateTime, StudioUsers)) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.entry((at.clone(), domain.to_owned())).or_default().insert(name.to_owned(), profile);
    }

    /// Forgets the profiles that are gone.
    fn keep(&self, at: &Scope, domain: &str, there: &BTreeSet<String>) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(described) = cache.get_mut(&(at.clone(), domain.to_owned())) {
            described.retain(|name, _| there.contains(name));
        }
    }
}
