//! The valid name that a misspelt one most likely means.

/// The candidate nearest to `name`, unless none is near.
///
/// Near means: a few letters changed, or one name is a part of the other between underscores
/// (`app_id` for `id`).
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let edits = edits(&name, candidate);
            let near = edits <= name.chars().count().max(candidate.chars().count()) / 3
                || is_part(&name, candidate)
                || is_part(candidate, &name);
            near.then_some((edits, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

fn is_part(part: &str, whole: &str) -> bool {
    whole.strip_suffix(part).is_some_and(|rest| rest.ends_with('_'))
        || whole.strip_prefix(part).is_some_and(|rest| rest.starts_with('_'))
}

/// How many characters to insert, delete, replace or swap with their neighbour to get from `a` to
/// `b`.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        assert_eq!(edits("port", "port"), 0);
        assert_eq!(edits("prot", "port"), 1);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn finds_the_near_name_and_no_far_one() {
        let names = ["host", "id", "key", "max_channel_name", "port", "secret"];
        assert_eq!(nearest("app_id", names), Some("id"));
        assert_eq!(nearest("prt", names), Some("port"));
        assert_eq!(nearest("max-channel-names", names), Some("max_channel_name"));
        assert_eq!(nearest("secert", names), Some("secret"));
        assert_eq!(nearest("colour", names), None);
    }
}
