use super::*;

fn trees() -> DatasetName {
    DatasetName::parse("trees").unwrap()
}

fn revision(state: RevisionState) -> Subject {
    Subject::Revision(RevisionFacts {
        dataset: trees(),
        department: "Parks".into(),
        state,
        recommended: true,
        release_at_ms: Some(100),
        staged_by: "ana".into(),
        barred: vec!["ana".into(), "bo".into()],
    })
}

fn staff(name: &str, roles: &[Role], scope: Scope) -> Principal {
    Principal::Staff { name: name.into(), roles: roles.to_vec(), scope }
}

fn of_department(department: &str) -> Scope {
    Scope::Only { departments: vec![department.into()], datasets: Vec::new() }
}

#[test]
fn anyone_reads_what_is_released_and_nothing_else() {
    let ask = |version| decide(&Principal::Anonymous, Action::Read, &Subject::version(trees(), version), 7);
    let Decision::Granted(grant) = ask(Some((1, VersionState::Released))) else { panic!() };
    assert_eq!(grant.version(), Some(VersionRef { dataset: trees(), version: 1 }));
    assert_eq!(ask(Some((1, VersionState::Withdrawn))), Decision::Withdrawn);
    assert_eq!(ask(None), Decision::Hidden);
    for action in Action::ALL.into_iter().filter(|action| *action != Action::Read) {
        for subject in [revision(RevisionState::Staged), Subject::Portal, Subject::version(trees(), None)] {
            // Anyone may wish.
            if (action, &subject) == (Action::AskForData, &Subject::Portal) {
                continue;
            }
            assert_eq!(decide(&Principal::Anonymous, action, &subject, 0), Decision::Hidden, "{action:?}");
        }
    }
}

#[test]
fn what_is_out_of_scope_does_not_exist() {
    let steward = |scope| staff("s", &[Role::Steward], scope);
    let see = |scope| decide(&steward(scope), Action::See, &revision(RevisionState::Staged), 0);
    assert!(matches!(see(of_department(" parks ")), Decision::Granted(_)));
    assert_eq!(see(of_department("Water")), Decision::Hidden);
    assert_eq!(see(of_department("")), Decision::Hidden);
    let only = Scope::Only { departments: Vec::new(), datasets: vec![trees()] };
    assert!(matches!(see(only), Decision::Granted(_)));
    let nowhere = Subject::Dataset { dataset: trees(), department: String::new() };
    assert_eq!(decide(&steward(of_department("")), Action::See, &nowhere, 0), Decision::Hidden);
    let admin = staff("a", &[Role::Admin], of_department("Parks"));
    let tokens = decide(&admin, Action::ManageTokens, &Subject::Portal, 0);
    assert_eq!(tokens, Decision::Denied(Denial::Scope));
}

#[test]
fn a_contributor_knows_only_what_the_contributor_staged() {
    let ask = |name, action| {
        decide(&staff(name, &[Role::Contributor], Scope::All), action, &revision(RevisionState::Screened), 0)
    };
    assert!(matches!(ask("ana", Action::Submit), Decision::Granted(_)));
    assert_eq!(ask("ana", Action::Approve), Decision::Denied(Denial::Role(&[Role::Cio])));
    assert_eq!(ask("eve", Action::See), Decision::Hidden);
    // A second role reaches further, but not the contributor's duties.
    let both = staff("eve", &[Role::Contributor, Role::Cio], Scope::All);
    let subject = revision(RevisionState::Screened);
    assert!(matches!(decide(&both, Action::Preview, &subject, 0), Decision::Granted(_)));
    assert!(matches!(decide(&both, Action::Submit, &subject, 0), Decision::Denied(Denial::Role(_))));
}

#[test]
fn approval_is_by_somebody_else_and_after_a_recommendation() {
    let ask = |name, state| decide(&staff(name, &Role::ALL, Scope::All), Action::Approve, &revision(state), 0);
    for name in ["ana", "BO"] {
        assert_eq!(ask(name, RevisionState::InReview), Decision::Denied(Denial::OwnWork), "{name}");
    }
    assert!(matches!(ask("cy", RevisionState::InReview), Decision::Granted(_)));
    assert_eq!(ask("cy", RevisionState::Screened), Decision::Denied(Denial::State));
    let Subject::Revision(facts) = revision(RevisionState::InReview) else { panic!() };
    let early = Subject::Revision(RevisionFacts { recommended: false, ..facts });
    let cio = staff("cy", &[Role::Cio], Scope::All);
    assert_eq!(decide(&cio, Action::Approve, &early, 0), Decision::Denied(Denial::State));
    // One person at the server's own command line does it all.
    let Decision::Granted(grant) =
        decide(&Principal::operator("ana"), Action::Approve, &revision(RevisionState::Screened), 5)
    else {
        panic!()
    };
    assert_eq!((grant.action(), grant.principal(), grant.decided_at_ms()), (Action::Approve, "ana", 5));
}

#[test]
fn the_clock_releases_what_is_scheduled_at_its_time_and_does_nothing_else() {
    let ask = |action, state, now_ms| decide(&Principal::Clock, action, &revision(state), now_ms);
    assert!(matches!(ask(Action::Release, RevisionState::Scheduled, 100), Decision::Granted(_)));
    assert_eq!(ask(Action::Release, RevisionState::Scheduled, 99), Decision::Denied(Denial::State));
    for state in RevisionState::ALL {
        let decided = ask(Action::Release, state, 100);
        let done = matches!(state, RevisionState::Scheduled | RevisionState::Released);
        assert_eq!(matches!(decided, Decision::Granted(_)), done, "{state:?}");
        for action in Action::ALL.into_iter().filter(|action| *action != Action::Release) {
            assert_eq!(ask(action, state, 100), Decision::Hidden, "{action:?} {state:?}");
        }
    }
    // Nobody else makes it public before or after its time: the schedule is lifted first.
    for who in [Principal::operator("ana"), staff("cy", &Role::ALL, Scope::All)] {
        let release = decide(&who, Action::Release, &revision(RevisionState::Scheduled), 100);
        assert_eq!(release, Decision::Denied(Denial::State));
    }
}

#[test]
fn a_source_goes_its_own_way_and_no_other() {
    let source = Principal::source(&trees(), 3);
    let staged = |by: &str, state| {
        let Subject::Revision(facts) = revision(state) else { panic!() };
        Subject::Revision(RevisionFacts { staged_by: by.into(), recommended: false, ..facts })
    };
    let ask = |action, by: &str, state| decide(&source, action, &staged(by, state), 0);
    let granted = |decision| matches!(decision, Decision::Granted(_));
    assert!(granted(ask(Action::Screen, "source 3", RevisionState::Staged)));
    assert!(granted(ask(Action::Approve, "source 3", RevisionState::Screened)));
    assert!(granted(ask(Action::Release, "source 3", RevisionState::Approved)));
    assert!(!granted(ask(Action::Approve, "source 3", RevisionState::Blocked)));
    for other in ["source 2", "ana"] {
        assert_eq!(ask(Action::Approve, other, RevisionState::Screened), Decision::Hidden, "{other}");
    }
    for action in [Action::Withdraw, Action::Recommend, Action::Return, Action::Preview, Action::ManageTokens] {
        assert_eq!(ask(action, "source 3", RevisionState::InReview), Decision::Hidden, "{action:?}");
    }
    let elsewhere = Principal::source(&DatasetName::parse("stops").unwrap(), 3);
    let other = decide(&elsewhere, Action::Screen, &staged("source 3", RevisionState::Staged), 0);
    assert_eq!(other, Decision::Hidden);
}

#[test]
fn a_source_is_approved_by_somebody_else() {
    let of = |declared_by: &str| {
        let barred = vec![declared_by.to_owned()];
        Subject::Source(SourceFacts { dataset: trees(), department: "Parks".into(), barred })
    };
    let ask = |principal: &Principal, subject| decide(principal, Action::ApproveSource, &subject, 0);
    let cio = staff("cy", &Role::ALL, of_department("Parks"));
    assert!(matches!(ask(&cio, of("ana")), Decision::Granted(_)));
    assert_eq!(ask(&cio, of("CY")), Decision::Denied(Denial::OwnWork));
    assert_eq!(ask(&staff("cy", &Role::ALL, of_department("Water")), of("ana")), Decision::Hidden);
    assert!(matches!(ask(&Principal::operator("cy"), of("cy")), Decision::Granted(_)));
}
