use serde_json::Value;

use super::{gate, readiness, sentence, status, step, whole_percent};
use crate::testing;

const ATTACK: &str = "<script>alert('x')</script>\"&";

/// Every text that is free in the model becomes an attack.
fn attack(value: &mut Value, path: &str) {
    match value {
        Value::String(text) => {
            let free = [
                "title",
                "owner",
                "reason",
                "detail",
                "segment",
                "project",
                "environment",
                "verdict",
                "unknown",
                "reason_not",
                "reviewer",
                "servers_note",
                "column",
                "unit",
                "signature",
                "server",
            ];
            let an_enum = ["needed", "blocked", "ready", "day", "month"].contains(&text.as_str());
            if free.contains(&path) && !an_enum {
                *text = ATTACK.to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| match (path, &item) {
            ("blockers" | "reasons" | "broken", Value::String(_)) => *item = ATTACK.into(),
            _ => attack(item, path),
        }),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| attack(value, key)),
        _ => {}
    }
}

fn safe(page: &str) {
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("&lt;script&gt;"));
    assert!(!page.contains("\"&\""), "a quote ends an attribute");
}

#[test]
fn no_text_of_a_model_becomes_markup() {
    let mut model = serde_json::to_value(testing::status()).unwrap();
    attack(&mut model, "");
    safe(&status(&serde_json::from_value(model).unwrap()).unwrap());
    let mut model = serde_json::to_value(testing::readiness()).unwrap();
    attack(&mut model, "");
    safe(&readiness(&serde_json::from_value(model).unwrap()).unwrap());
}

#[test]
fn pages_stand_alone() {
    for page in [status(&testing::status()).unwrap(), readiness(&testing::readiness()).unwrap()] {
        for outside in ["http://", "https://", "src=", "@import", "url(", "<link", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    }
}

#[test]
fn what_keeps_a_gate_shut_can_be_read_without_a_pointer() {
    let page = status(&testing::status()).unwrap();
    assert!(page.contains("<span class=\"soft\">1240 cells of co2e_kg are unexplained</span>"));
    assert!(page.contains("<span>2025-01-17</span>") && page.contains("<span>2025-03-05</span>"));
    let page = readiness(&testing::readiness()).unwrap();
    assert!(page.contains("<span class=\"soft\">cloud-usage still reads it</span>"));
}

#[test]
fn an_empty_project_has_a_page() {
    let mut model = testing::status();
    model.pipelines.clear();
    model.changes.clear();
    model.phases.clear();
    model.blockers.clear();
    let page = status(&model).unwrap();
    assert!(page.contains("no pipeline is declared") && page.contains("Nothing that is on record."));
    let mut model = testing::readiness();
    (model.assets, model.servers, model.reasons) = Default::default();
    assert!(readiness(&model).unwrap().contains("no asset is declared"));
}

#[test]
fn words_of_the_pages() {
    assert_eq!([sentence("not ready: MC-1".into()), sentence(String::new())], ["Not ready: MC-1", ""]);
    assert_eq!(
        [whole_percent(0.0), whole_percent(0.001), whole_percent(0.999), whole_percent(1.0)],
        ["0 %", "under 1 %", "99 %", "100 %"]
    );
    assert_eq!(
        (gate("streak".into()), step("test_restore".into())),
        ("clean nights in a row".into(), "test the restore".into())
    );
}

/// Writes the pages to the folder named by `DUALRUN_PAGES`, for a look at them.
#[test]
fn pages_can_be_written_for_a_look() {
    let pages = [
        ("status", status(&testing::status()).unwrap()),
        ("readiness", readiness(&testing::readiness()).unwrap()),
    ];
    assert!(pages.iter().all(|(_, page)| page.len() > 5_000));
    if let Some(folder) = std::env::var_os("DUALRUN_PAGES") {
        for (name, page) in pages {
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.html")), page).unwrap();
        }
    }
}
