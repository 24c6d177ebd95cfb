use benchmark_rows::Failure;
use glob::Pattern;

/// Returns the names that match one of the patterns, or all names if there are no patterns.
pub fn chosen(mut names: Vec<String>, patterns: &[String]) -> Result<Vec<String>, Failure> {
    let patterns = patterns.iter().map(|pattern| parse(pattern));
    let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
    let is_chosen = |name: &String| patterns.iter().any(|pattern| pattern.matches(name));
    names.retain(|name| patterns.is_empty() || is_chosen(name));
    Ok(names)
}

/// Parses a pattern. One without wildcards matches any part of a name.
fn parse(pattern: &str) -> Result<Pattern, Failure> {
    let parsed = if pattern.contains(['*', '?', '[']) {
        Pattern::new(pattern)
    } else {
        Pattern::new(&format!("*{pattern}*"))
    };
    parsed.map_err(|cause| format!("{pattern}: {cause}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen_of(patterns: &[&str]) -> Vec<String> {
        let names = [
            "a/publish/single/1",
            "a/publish/single/16",
            "b/publish/batch/100",
        ];
        let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
        chosen(names.map(str::to_owned).into(), &patterns).unwrap()
    }

    #[test]
    fn a_pattern_is_a_part_of_a_name_or_has_wildcards_for_all_of_it() {
        assert_eq!(
            chosen_of(&["single/1"]),
            ["a/publish/single/1", "a/publish/single/16"]
        );
        assert_eq!(chosen_of(&["*single/1"]), ["a/publish/single/1"]);
        assert_eq!(
            chosen_of(&["?/*/batch/*", "single/16"]),
            ["a/publish/single/16", "b/publish/batch/100"]
        );
        assert_eq!(chosen_of(&["batch/*"]), Vec::<String>::new());
    }

    #[test]
    fn all_names_are_chosen_when_there_are_no_patterns() {
        assert_eq!(chosen_of(&[]).len(), 3);
    }

    #[test]
    fn a_pattern_that_is_none_is_an_error() {
        let error = chosen(Vec::new(), &["[".to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("[: "), "{error}");
    }
}
