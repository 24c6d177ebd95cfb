//! Keys in a golden file.

use std::fs;
use std::path::Path;

use persisting_message_bus::testing::Golden;
use persisting_message_bus_tests::topics::parcels::{ParcelSent, Parcels, VanLeft};

use super::complaint;

const GOLDEN: &str = "data/parcels.golden.json";

fn parcels(path: &Path) -> Golden<Parcels> {
    let sent = ParcelSent::with_key("P-7");
    let full = VanLeft {
        parcels: vec![sent.parcel.clone()],
    };
    let empty = VanLeft {
        parcels: Vec::new(),
    };
    Golden::new(path).sample(&sent).sample(&full).sample(&empty)
}

#[test]
fn the_keys_of_parcels_have_not_changed() {
    parcels(Path::new(GOLDEN)).check();
}

#[test]
fn a_changed_key_is_shown() {
    for (kept, before) in [
        ("\"key\": \"parcel\"", "\"key\": \"customer\""),
        ("\"key_of_sample\": \"P-7\"", "\"key_of_sample\": \"7\""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parcels.json");
        let file = fs::read_to_string(GOLDEN).unwrap();
        assert!(file.contains(kept), "{file}");
        fs::write(&path, file.replacen(kept, before, 1)).unwrap();
        let text = complaint(move || parcels(&path).check());
        assert!(text.contains(&format!("-      {before}")), "{text}");
        assert!(text.contains("keep the key"), "{text}");
    }
}
