//! The whole of the policy as a table in `tests/policy.txt`: every role, every state, every action. Whoever changes the
//! policy reads the difference.

use std::fmt::Write as _;
use std::path::Path;

use portico_model::name::DatasetName;
use portico_model::policy::{
    Action, Decision, Denial, Principal, RevisionFacts, Role, Scope, SourceFacts, Subject, decide,
};
use portico_model::revision::RevisionState;

/// One letter for each outcome.
fn letter(principal: &Principal, action: Action, subject: &Subject) -> char {
    match decide(principal, action, subject, 0) {
        Decision::Granted(_) => '+',
        Decision::Denied(Denial::Role(_)) => 'r',
        Decision::Denied(Denial::State) => 's',
        Decision::Denied(Denial::OwnWork) => 'o',
        Decision::Denied(Denial::Scope) => 'p',
        Decision::Hidden => '.',
        Decision::Withdrawn => 'w',
    }
}

fn trees() -> DatasetName {
    DatasetName::parse("street-trees").unwrap()
}

fn dataset() -> Subject {
    Subject::Dataset { dataset: trees(), department: "Parks".to_owned() }
}

/// A revision that `ana` staged; `cy` holds the roles that are asked about.
/// It is to be released at the moment that is asked about, if it is scheduled.
fn revision(state: RevisionState, own: bool, recommended: bool, separate: bool) -> Subject {
    let staged_by = if own { "cy" } else { "ana" }.to_owned();
    let barred = if separate { vec![staged_by.clone()] } else { Vec::new() };
    Subject::Revision(RevisionFacts {
        dataset: trees(),
        department: "Parks".to_owned(),
        state,
        recommended,
        release_at_ms: Some(0),
        staged_by,
        barred,
    })
}

/// A source that `ana` declared.
fn source(own: bool) -> Subject {
    let barred = vec![if own { "cy" } else { "ana" }.to_owned()];
    Subject::Source(SourceFacts { dataset: trees(), department: "Parks".to_owned(), barred })
}

fn principals() -> Vec<(String, Principal)> {
    let staff = |roles: &[Role], scope| Principal::Staff { name: "cy".to_owned(), roles: roles.to_vec(), scope };
    let of = |department: &str| Scope::Only { departments: vec![department.to_owned()], datasets: Vec::new() };
    let mut all = vec![("anyone".to_owned(), Principal::Anonymous)];
    for role in Role::ALL {
        all.push((role.as_str().to_owned(), staff(&[role], Scope::All)));
    }
    for role in [Role::Contributor, Role::Steward, Role::Cio] {
        all.push((format!("{} of Parks", role.as_str()), staff(&[role], of("Parks"))));
        all.push((format!("{} of Water", role.as_str()), staff(&[role], of("Water"))));
    }
    all.push(("every role".to_owned(), staff(&Role::ALL, Scope::All)));
    all.push(("operator".to_owned(), Principal::operator("cy")));
    all.push(("the clock, at the time of the release".to_owned(), Principal::Clock));
    all.push(("a source of the dataset".to_owned(), Principal::source(&trees(), 1)));
    all.push(("a source of another dataset".to_owned(), Principal::source(&DatasetName::parse("stops").unwrap(), 1)));
    all
}

fn table() -> (String, usize) {
    let mut text = "+ granted, r wants another role, s not in this state, o one's own work, p for a part of the portal only, . hidden\n".to_owned();
    let mut cells = 0;
    let names = Action::ALL.map(Action::as_str);
    for (number, name) in names.iter().enumerate() {
        writeln!(text, "{:>2} {name}", number + 1).unwrap();
    }
    for (who, principal) in principals() {
        writeln!(text, "\n# {who}").unwrap();
        let mut row = |what: String, subject: &Subject| {
            let letters: Vec<String> =
                Action::ALL.iter().map(|action| letter(&principal, *action, subject).to_string()).collect();
            cells += letters.len();
            writeln!(text, "{what:36} {}", letters.join(" ")).unwrap();
        };
        row("the portal".to_owned(), &Subject::Portal);
        row("a dataset of Parks".to_owned(), &dataset());
        row(
            "a dataset without a department".to_owned(),
            &Subject::Dataset { dataset: trees(), department: String::new() },
        );
        for own in [false, true] {
            let whose = if own { "one's own edit" } else { "another's edit" };
            let barred = vec![if own { "cy" } else { "ana" }.to_owned()];
            row(whose.to_owned(), &Subject::Edit { dataset: trees(), department: "Parks".to_owned(), barred });
        }
        for own in [false, true] {
            let asked_by = if own { "cy" } else { "ana" }.to_owned();
            let barred = Some(asked_by);
            let subject = Subject::Purge { dataset: trees(), department: "Parks".to_owned(), barred };
            row(format!("a purge that {} asked for", if own { "one" } else { "another" }), &subject);
            let whose = if own { "one's own" } else { "another's" };
            row(format!("{whose} source"), &source(own));
            for state in RevisionState::ALL {
                row(format!("{whose}, {}", state.as_str()), &revision(state, own, false, true));
            }
            let state = RevisionState::InReview;
            row(format!("{whose}, recommended"), &revision(state, own, true, true));
            row(format!("{whose}, recommended, not separate"), &revision(state, own, true, false));
        }
    }
    (text, cells)
}

#[test]
fn the_policy_is_the_one_that_was_agreed_on() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy.txt");
    let (table, cells) = table();
    assert!(cells > 500, "{cells}");
    let agreed = std::fs::read_to_string(&file).unwrap_or_default();
    if agreed != table {
        let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy.txt");
        std::fs::write(&found, &table).unwrap();
        panic!("the policy is another; if that is meant: cp {} {}", found.display(), file.display());
    }
}

#[test]
fn nobody_of_the_staff_approves_their_own_work_and_contributors_decide_nothing() {
    for roles in 0..1_u32 << Role::ALL.len() {
        let held: Vec<Role> =
            (0..).zip(Role::ALL).filter(|(bit, _)| roles & (1 << bit) != 0).map(|(_, role)| role).collect();
        let staff = Principal::Staff { name: "cy".to_owned(), roles: held.clone(), scope: Scope::All };
        for state in RevisionState::ALL {
            let own = revision(state, true, true, true);
            assert_ne!(letter(&staff, Action::Approve, &own), '+', "{held:?} {state:?}");
            if held.iter().all(|role| *role == Role::Contributor) {
                for action in [Action::Recommend, Action::Return, Action::Approve, Action::Release, Action::Withdraw] {
                    assert_ne!(letter(&staff, action, &own), '+', "{state:?} {action:?}");
                }
            }
        }
    }
}
