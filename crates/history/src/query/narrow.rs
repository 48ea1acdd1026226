//! Which rows of a group hints allow, found in as few columns as possible.

use super::hints::{Condition, Hints, Test};
use crate::{
    HistoryError,
    column::Column,
    decode::{Group, Rows, Value},
};

/// Ascending; all that hints allow.
pub(crate) fn rows(group: &Group<'_>, hints: &Hints) -> Result<Rows, HistoryError> {
    let mut found = match hints.any_of.as_slice() {
        [] => group.all(),
        hints => {
            let mut found = Rows::new();
            // Alternatives often begin alike: with the verdict.
            let mut begun: Option<(Condition, Rows)> = None;
            for hint in hints {
                let mut rows = group.all();
                for (number, condition) in hint.conditions().into_iter().enumerate() {
                    match &begun {
                        _ if rows.is_empty() => break,
                        Some((same, known)) if number == 0 && *same == condition => rows.clone_from(known),
                        _ => rows = narrow(group, &condition, &rows)?,
                    }
                    if number == 0 {
                        begun = Some((condition, rows.clone()));
                    }
                }
                found.extend(rows);
            }
            union(found)
        }
    };
    let (since, until) = hints.times();
    let (first, last) = group.times();
    if !found.is_empty() && (first < since || last > until) {
        let mut within = Rows::new();
        scan(group, "time", &found, &mut |row, value| {
            if let Value::Number(time) = value
                && u64::try_from(time).is_ok_and(|time| (since..=until).contains(&time))
            {
                add(&mut within, row);
            }
        })?;
        found = within;
    }
    Ok(found)
}

fn narrow(group: &Group<'_>, condition: &Condition, rows: &Rows) -> Result<Rows, HistoryError> {
    let Condition { column, test } = condition;
    match index(column).map_or(Known::Nothing, |(index, _)| known(group, index, test)) {
        Known::None => return Ok(Rows::new()),
        Known::All => return Ok(rows.clone()),
        Known::Nothing => {}
    }
    let mut found = Rows::new();
    // Neighbours mostly are alike.
    let mut last = (String::new(), test.text(""));
    scan(group, column, rows, &mut |row, value| {
        let fits = match value {
            Value::Number(number) => test.number(number),
            Value::Text(text) => {
                if last.0 != text {
                    text.clone_into(&mut last.0);
                    last.1 = test.text(text);
                }
                last.1
            }
            Value::Flag(_) => true,
        };
        if fits {
            add(&mut found, row);
        }
    })?;
    Ok(found)
}

fn scan(
    group: &Group<'_>,
    name: &str,
    rows: &Rows,
    each: &mut dyn FnMut(usize, Value<'_>),
) -> Result<(), HistoryError> {
    let Some((index, column)) = index(name) else { return Ok(()) };
    group.scan(index, column, rows, &mut |row, value| {
        each(row, value);
        Some(())
    })
}

fn index(name: &str) -> Option<(usize, &'static Column)> {
    Column::all().enumerate().find(|(_, column)| column.name == name)
}

/// What a group's statistics say of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// No row fulfils it.
    None,
    /// All do.
    All,
    Nothing,
}

fn known(group: &Group<'_>, index: usize, test: &Test) -> Known {
    let Some((least, most)) = group.texts(index) else { return Known::Nothing };
    let may = match test {
        Test::Equal(wanted) => wanted.iter().any(|text| least <= text.as_str() && text.as_str() <= most),
        Test::Begin(wanted) => wanted
            .iter()
            .any(|begin| begin.as_str() <= most && (least <= begin.as_str() || least.starts_with(begin))),
        Test::Number(_) => true,
    };
    match may {
        false => Known::None,
        true if group.is_constant(index) && test.text(least) => Known::All,
        true => Known::Nothing,
    }
}

fn add(rows: &mut Rows, row: usize) {
    match rows.last_mut() {
        Some(last) if last.end == row => last.end = row.saturating_add(1),
        Some(_) | None => rows.push(row..row.saturating_add(1)),
    }
}

/// Of ranges in any order.
fn union(mut rows: Rows) -> Rows {
    rows.sort_by_key(|range| range.start);
    let mut joined = Rows::new();
    for range in rows {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            Some(_) | None => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined() {
        assert_eq!(union(vec![5..7, 0..2, 1..3, 3..4, 9..10, 6..7]), vec![0..4, 5..7, 9..10]);
    }
}
