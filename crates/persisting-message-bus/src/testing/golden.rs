use std::borrow::Cow;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::message::raw::StoredMessage;
use crate::message::topic::{MessageDescriptor, MessageOf, Topic};
use crate::position::Position;
use crate::testing::difference::difference;
use crate::testing::values::{are_same, keeps};

/// The environment variable that makes the tests write the files instead of checking them. Empty
/// and 0 count as not set.
const UPDATE: &str = "UPDATE_GOLDEN";

/// The wire form of a topic, kept in a file.
///
/// The file lists the topic's messages, with names, aliases, versions, samples and their keys. Any
/// change of these fails the check, which prints the changed lines. Run the test once with
/// `UPDATE_GOLDEN=1` to accept the change and write the file.
///
/// Messages with the same key keep their order, so a message must not get another key. To notice such
/// a change, choose samples in which no other field has the value of the key.
///
/// The file then keeps the previous wire form as *former*, and every former wire form must decode
/// for ever. A rename without an alias, or a changed field without a new version, can therefore not
/// be accepted.
///
/// Values are compared, not texts. So the check does not depend on the features of serde_json that
/// other crates turn on. Integers of more than 64 bits are kept exactly only with its feature
/// `arbitrary_precision`.
///
/// A sample also fails if its `Deserialize` cannot read the JSON that its `Serialize` has written:
/// see [`MessageDispatcher::dispatch`](crate::MessageDispatcher::dispatch).
///
/// A message type can only disappear if the topic retires it: `#[topic(retired = "...")]`. The file
/// lists the retired types, and no longer decodes their former wire forms. A type that is neither
/// on the topic nor retired fails the check.
///
/// ```no_run
/// use persisting_message_bus::testing::Golden;
/// # use persisting_message_bus::Topic;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # struct OrderPlaced { order: u32 }
/// # #[derive(Serialize, Deserialize)]
/// # struct OrderShipped { order: u32 }
/// # #[derive(Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced), OrderShipped(OrderShipped) }
///
/// #[test]
/// fn the_wire_form_of_orders_has_not_changed() {
///     Golden::<Orders>::new("tests/golden/orders.json")
///         .sample(&OrderPlaced { order: 1 })
///         .sample(&OrderShipped { order: 1 })
///         .check();
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is checked before `check`"]
pub struct Golden<T> {
    path: PathBuf,
    samples: Vec<Form>,
    topic: PhantomData<fn() -> T>,
}

/// The content of the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct File {
    topic: String,
    messages: Vec<Form>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired: Vec<String>,
    /// Earlier wire forms, which must decode for ever, unless their types are retired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<Form>,
}

/// A sample of a message on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Form {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    version: u32,
    /// The field or function that has the key, as the topic writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    sample: Value,
    /// The text of the sample's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_of_sample: Option<String>,
    /// The payload of which the sample was made, with all digits of its numbers.
    #[serde(skip)]
    payload: Option<String>,
}

/// Compares what the file has.
impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        let (own, others) = (
            (&self.name, &self.aliases, self.version),
            (&other.name, &other.aliases, other.version),
        );
        let (key, others_key) = (
            (&self.key, &self.key_of_sample),
            (&other.key, &other.key_of_sample),
        );
        own == others && key == others_key && are_same(&self.sample, &other.sample)
    }
}

impl<T: Topic> Golden<T> {
    /// Creates a check against the file at this path. A relative path begins at the package's
    /// folder, in which tests run.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            samples: Vec::new(),
            topic: PhantomData,
        }
    }

    /// Adds a sample. Each message of the topic needs at least one. Add more samples to show
    /// optional fields.
    ///
    /// # Panics
    ///
    /// If the message cannot be written as JSON.
    pub fn sample<M: MessageOf<T>>(mut self, message: &M) -> Self {
        let payload = message.to_payload().map_err(|error| error.to_string());
        let key = message.key().map(Cow::into_owned);
        let form = payload.and_then(|payload| Form::new(message.descriptor(), payload, key));
        match form {
            Ok(form) => self.samples.push(form),
            Err(error) => panic!("a sample cannot be written: {error}"),
        }
        self
    }

    /// Compares the samples with the file, or writes the file if `UPDATE_GOLDEN` is set.
    ///
    /// # Panics
    ///
    /// - If a message has no sample.
    /// - If a message type of the file is neither on the topic nor retired.
    /// - If a sample or a former wire form does not decode.
    /// - If the file differs.
    pub fn check(self) {
        self.expect_a_sample_of_each_message();
        let kept = self.read();
        let updating = env::var(UPDATE).is_ok_and(|value| !["", "0"].contains(&value.as_str()));
        if let Some(kept) = &kept {
            assert!(
                kept.topic == T::NAME,
                "the topic \"{}\" of {} is now called \"{}\": no consumer would find the stored \
                 messages; keep the name",
                kept.topic,
                self.path.display(),
                T::NAME
            );
            kept.expect_no_orphans::<T>(&self.path);
        }
        let former = kept.as_ref().map_or(Vec::new(), |kept| {
            if updating {
                self.former_after(kept)
            } else {
                kept.former.clone()
            }
        });
        for form in self.samples.iter().chain(&former) {
            form.expect_to_decode::<T>();
        }
        let found = File {
            topic: T::NAME.to_owned(),
            messages: self.samples.clone(),
            retired: T::RETIRED.iter().map(|&name| name.to_owned()).collect(),
            former,
        };
        if updating {
            self.write(&found.to_text());
        } else {
            self.compare(kept.as_ref(), &found);
        }
    }

    fn expect_a_sample_of_each_message(&self) {
        for message in T::MESSAGES {
            let has_sample = self.samples.iter().any(|form| form.name == message.name);
            assert!(
                has_sample,
                "{} of topic \"{}\" has no sample: add one with `.sample(...)`",
                message.name,
                T::NAME
            );
        }
    }

    /// Returns the former wire forms of the file, and the file's messages that have now become
    /// former.
    fn former_after(&self, kept: &File) -> Vec<Form> {
        let mut former = kept.former.clone();
        for form in &kept.messages {
            let is_current = self.samples.iter().any(|sample| sample.covers(form));
            if !is_current && !former.contains(form) {
                former.push(form.clone());
            }
        }
        former
    }

    fn compare(&self, kept: Option<&File>, found: &File) {
        let accept = format!("run the test once with {UPDATE}=1");
        let Some(kept) = kept else {
            panic!(
                "the file {} does not exist: {accept} to write it",
                self.path.display()
            );
        };
        assert!(
            kept == found,
            "the wire form of topic \"{}\" differs from that in {}. Running programs might fail to \
             read it: keep the name or add an alias, keep the fields or add a version, and keep the \
             key. Then {accept} to accept the change.\n{}",
            T::NAME,
            self.path.display(),
            difference(&kept.to_text(), &found.to_text())
        );
    }

    fn read(&self) -> Option<File> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("{} cannot be read: {error}", self.path.display()),
        };
        match serde_json::from_str::<File>(&text) {
            Ok(file) => Some(file.sorted()),
            Err(error) => panic!("{} is not a golden file: {error}", self.path.display()),
        }
    }

    fn write(&self, text: &str) {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if let Err(error) = fs::create_dir_all(folder).and_then(|()| fs::write(&self.path, text)) {
            panic!("{} cannot be written: {error}", self.path.display());
        }
    }
}

impl File {
    /// Checks that the topic still knows each message type of the file, or has retired it.
    fn expect_no_orphans<T: Topic>(&self, path: &Path) {
        let forms = self.messages.iter().chain(&self.former);
        let names = forms.flat_map(Form::names).chain(&self.retired);
        for name in names {
            assert!(
                T::index_of(name).is_some() || is_retired::<T>(name),
                "the message type {name:?} of {} is neither on topic \"{}\" nor retired: no consumer \
                 would know its stored messages; keep its variant, give its successor the alias \
                 {name:?}, or add `retired = {name:?}` to the topic",
                path.display(),
                T::NAME
            );
        }
    }

    /// Returns the file with the fields of all samples in the order of their names.
    fn sorted(mut self) -> Self {
        for form in self.messages.iter_mut().chain(&mut self.former) {
            form.sample.sort_all_objects();
        }
        self
    }

    fn to_text(&self) -> String {
        match serde_json::to_string_pretty(self) {
            Ok(text) => text + "\n",
            Err(error) => panic!("the golden file cannot be written: {error}"),
        }
    }
}

impl Form {
    fn new(
        message: &MessageDescriptor,
        payload: String,
        key_of_sample: Option<String>,
    ) -> Result<Self, String> {
        let sample = serde_json::from_str(&payload);
        let mut sample: Value = sample.map_err(|error| format!("{error} in {payload}"))?;
        sample.sort_all_objects();
        let aliases = message.aliases.iter();
        Ok(Self {
            name: message.name.to_owned(),
            aliases: aliases.map(|&alias| alias.to_owned()).collect(),
            version: message.version,
            key: message.key.map(str::to_owned),
            sample,
            key_of_sample,
            payload: Some(payload),
        })
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.aliases.iter().chain([&self.name])
    }

    /// Returns `true` if this form contains everything by which the other form is decoded.
    fn covers(&self, other: &Self) -> bool {
        let (own, others) = (&self.aliases, &other.aliases);
        (&self.name, self.version) == (&other.name, other.version)
            && are_same(&self.sample, &other.sample)
            && others.iter().all(|alias| own.contains(alias))
    }

    fn expect_to_decode<T: Topic>(&self) {
        for name in self.names().filter(|name| !is_retired::<T>(name)) {
            if let Err(why) = self.decode::<T>(name) {
                panic!(
                    "version {} of {name} is on topic \"{}\" for ever, but {why}: {}",
                    self.version,
                    T::NAME,
                    self.sample
                );
            }
        }
    }

    /// Decodes the sample as a message of that name. A sample of the current version must come back
    /// complete.
    fn decode<T: Topic>(&self, name: &str) -> Result<(), String> {
        let current = T::index_of(name).map(|index| T::MESSAGES[index].version);
        if current < Some(self.version) {
            return Err("the current version is lower; raise `version` again".to_owned());
        }
        let payload = self.payload.clone();
        let payload = payload.unwrap_or_else(|| self.sample.to_string());
        let decoded = T::decode(&StoredMessage {
            position: Position::START,
            message_id: Uuid::nil(),
            topic: T::NAME,
            message_type: name,
            message_version: self.version,
            payload: &payload,
            headers: "{}",
            published_at: DateTime::<Utc>::UNIX_EPOCH,
        });
        let message = decoded.map_err(|error| format!("it does not decode: {error:#}"))?;
        let encoded = message.encode().map_err(|error| error.to_string())?;
        let again = serde_json::from_str(&encoded).map_err(|error| error.to_string())?;
        if current > Some(self.version) || keeps(&self.sample, &again) {
            Ok(())
        } else {
            Err(format!(
                "it comes back as {again}; keep the names of its fields, or add a version"
            ))
        }
    }
}

fn is_retired<T: Topic>(name: &str) -> bool {
    T::RETIRED.contains(&name)
}
