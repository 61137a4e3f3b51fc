//! What a person may do here, by the groups that the provider says the person is in.

use portico_model::policy::{Role, Scope};
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::Holder;
use serde_json::{Map, Value};

use super::ProviderSettings;

/// Groups of one person that are looked at.
const GROUPS_MAX: usize = 10_000;

/// What a group of the provider means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// The group, as the provider's claim has it.
    pub group: String,
    /// The roles that its members have.
    pub roles: Vec<Role>,
    /// For which part of the portal.
    pub scope: Scope,
}

impl Duty {
    /// What is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        let group = &self.group;
        if group.is_empty() || self.roles.is_empty() {
            return Err("a group has a name and at least one role".to_owned());
        }
        match &self.scope {
            Scope::All => Ok(()),
            Scope::Only { departments, datasets } if departments.is_empty() && datasets.is_empty() => {
                Err(format!("the group {group} is for nothing: everywhere, departments or datasets"))
            }
            Scope::Only { .. } if self.roles.contains(&Role::Admin) => {
                Err(format!("the group {group} has the role admin, which is there for the whole portal"))
            }
            Scope::Only { .. } => Ok(()),
        }
    }
}

/// Somebody whom the provider has vouched for and who has duties here.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) holder: Holder,
    /// The provider's own name for the person.
    pub(crate) subject: String,
}

impl Person {
    /// Reads the claims of an ID token that is good.
    ///
    /// # Errors
    /// `Forbidden` for whoever has no name or no duties.
    pub(super) fn of(claims: &Map<String, Value>, settings: &ProviderSettings) -> Result<Self, Problem> {
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = claims.get(&settings.name_claim).and_then(Value::as_str).unwrap_or_default().trim().to_lowercase();
        if name.is_empty() {
            tracing::warn!(claim = settings.name_claim, "an ID token lacks the claim that names a person");
            return Err(forbidden("The identity provider does not say your name here (identity.oidc.name_claim)."));
        }
        let verified = matches!(claims.get("email_verified"), Some(Value::Bool(true)));
        if settings.name_claim == "email" && !verified {
            return Err(forbidden("The identity provider does not say that your e-mail address is verified."));
        }
        let groups = groups(claims.get(&settings.groups_claim));
        let (roles, scope) = duties(&groups, &settings.duties).ok_or_else(|| {
            tracing::warn!(name, "somebody without duties tried to sign in");
            forbidden("You are in no group that has duties here (identity.oidc.map): ask an administrator.")
        })?;
        Ok(Self { holder: Holder { name, roles, scope }, subject })
    }
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(ProblemKind::Forbidden, detail)
}

/// A list of texts, or one text.
fn groups(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().take(GROUPS_MAX).filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The first duty that fits, with those that can be added to it without giving anybody a role where no group of theirs
/// does: of the same scope, their roles; of the same roles, their scope.
fn duties(groups: &[&str], duties: &[Duty]) -> Option<(Vec<Role>, Scope)> {
    let mut fitting = duties.iter().filter(|duty| groups.contains(&duty.group.as_str()));
    let first = fitting.next()?;
    let (mut roles, mut scope) = (sorted(&first.roles), first.scope.clone());
    for duty in fitting {
        let more = sorted(&duty.roles);
        if duty.scope == scope {
            roles.extend(more);
            roles = sorted(&roles);
        } else if more == roles {
            scope = united(scope, &duty.scope);
        }
    }
    Some((roles, scope))
}

fn sorted(roles: &[Role]) -> Vec<Role> {
    let mut roles = roles.to_vec();
    roles.sort_unstable();
    roles.dedup();
    roles
}

fn united(one: Scope, other: &Scope) -> Scope {
    let (Scope::Only { mut departments, mut datasets }, Scope::Only { departments: more, datasets: others }) =
        (one, other)
    else {
        return Scope::All;
    };
    departments.extend(more.iter().filter(|name| !departments.contains(name)).cloned().collect::<Vec<_>>());
    datasets.extend(others.iter().filter(|name| !datasets.contains(name)).cloned().collect::<Vec<_>>());
    Scope::Only { departments, datasets }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Scope {
        Scope::Only { departments: names.iter().map(|name| (*name).to_owned()).collect(), datasets: Vec::new() }
    }

    fn duty(group: &str, roles: &[Role], scope: Scope) -> Duty {
        Duty { group: group.into(), roles: roles.to_vec(), scope }
    }

    #[test]
    fn groups_never_give_a_role_where_none_of_them_does() {
        let map = [
            duty("parks", &[Role::Steward], only(&["Parks"])),
            duty("water", &[Role::Steward], only(&["Water"])),
            duty("parks-approvers", &[Role::Cio], only(&["Parks"])),
            duty("team", &[Role::OpenData], Scope::All),
        ];
        let check = |groups: &[&str]| duties(groups, &map);
        assert_eq!(check(&[]), None);
        assert_eq!(check(&["Parks", "others"]), None);
        assert_eq!(check(&["water", "parks"]), Some((vec![Role::Steward], only(&["Parks", "Water"]))));
        assert_eq!(check(&["parks-approvers", "parks"]), Some((vec![Role::Steward, Role::Cio], only(&["Parks"]))));
        // A steward of the parks does not become one of everything, nor an approver of the water.
        assert_eq!(check(&["team", "parks"]), Some((vec![Role::Steward], only(&["Parks"]))));
        let all = check(&["parks", "water", "parks-approvers"]);
        assert_eq!(all, Some((vec![Role::Steward], only(&["Parks", "Water"]))));
        assert_eq!(check(&["team"]), Some((vec![Role::OpenData], Scope::All)));
    }

    #[test]
    fn a_duty_that_makes_no_sense_is_named() {
        assert!(duty("g", &[], Scope::All).check().is_err());
        assert!(duty("g", &[Role::Cio], only(&[])).check().unwrap_err().contains("the group g"));
        assert!(duty("g", &[Role::Admin], only(&["Parks"])).check().is_err());
        assert!(duty("g", &[Role::Admin], Scope::All).check().is_ok());
    }
}
