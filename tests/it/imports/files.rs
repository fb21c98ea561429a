//! Files as other systems write them.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::generator::{digits, major};

/// An amount as people read it.
pub fn shown(units: i64, currency: &str) -> String {
    let amount = major(units, currency).abs();
    let text = format!("{:.*}", digits(currency) as usize, amount);
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, fraction)| (whole, Some(fraction)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if currency == "JPY" { "¥" } else { "$" };
    fraction.map_or_else(|| format!("{sign}{grouped}"), |fraction| format!("{sign}{grouped}.{fraction}"))
}

/// Writes a page of an API's answer.
pub fn page(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(format!("{name}.json")), value.to_string()).expect("a file");
}

/// Writes rows as lines of JSON.
pub fn lines(folder: &Path, name: &str, rows: &[Value]) {
    let text = rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n";
    fs::write(folder.join(format!("{name}.jsonl")), text).expect("a file");
}

/// Writes rows as CSV, with the columns that any of them has.
pub fn csv(folder: &Path, name: &str, rows: &[Value]) {
    let columns: BTreeSet<&String> = rows.iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys).collect();
    let mut writer = ::csv::Writer::from_path(folder.join(format!("{name}.csv"))).expect("a file");
    writer.write_record(&columns).expect("a header");
    for row in rows {
        let cells = columns.iter().map(|column| match &row[column.as_str()] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        writer.write_record(cells).expect("a row");
    }
    writer.flush().expect("a file");
}
