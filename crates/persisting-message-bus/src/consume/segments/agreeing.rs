//! Keeps a consumer divided alike on all its topics.

use crate::consume::consumer::MessageConsumer;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::segment::Division;
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Lets all topics agree on a change that a process has stored on some of them only.
    ///
    /// # Errors
    ///
    /// When the topics are divided differently, and no change in progress makes them alike: a topic that
    /// the consumer did not read for a while was left out of a change.
    pub(crate) fn agree_on_resizing<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let divisions = self.divisions(bus)?;
        let resizes = divisions.iter().flatten().filter_map(|it| it.resize);
        // Two operators can have begun different changes at once: the one that stops later is kept.
        let Some(resize) = resizes.max_by_key(|resize| (resize.stop_at, resize.to)) else {
            // Another process may have made a whole change between the reads of two topics.
            let is_stable = self.divisions(bus)? == divisions;
            return if is_stable {
                self.check_alike(&divisions)
            } else {
                Ok(())
            };
        };
        let mut agreed = false;
        for (reader, before) in self.topics.iter().zip(&divisions) {
            let Some(before) = before.filter(|before| before.segments != resize.to) else {
                // The segments were replaced while the rows were read, or the topic was left out of an
                // earlier change.
                continue;
            };
            let after = Division {
                resize: Some(resize),
                ..before
            };
            agreed |=
                before != after && bus.change_division(self.key(reader.topic), before, after)?;
        }
        if !agreed && self.divisions(bus)? == divisions {
            return self.check_alike(&divisions);
        }
        Ok(())
    }

    /// Returns how the consumer is divided on each topic.
    fn divisions<B>(&self, bus: &mut B) -> Result<Vec<Option<Division>>, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let rows = self.whole_rows(bus)?.into_iter();
        Ok(rows.map(|row| row?.division).collect())
    }

    fn check_alike(&self, divisions: &[Option<Division>]) -> Result<(), Error> {
        let topics = self.topics.iter().map(|reader| reader.topic);
        let mut known = topics
            .zip(divisions)
            .filter_map(|(topic, division)| Some((topic, (*division)?)));
        let Some((topic, first)) = known.next() else {
            return Ok(());
        };
        let Some((other_topic, other)) = known.find(|(_, other)| *other != first) else {
            return Ok(());
        };
        let is_changing = first.resize.or(other.resize).is_some();
        let problem = format!(
            "it is divided by {} into {} segments on topic \"{topic}\", and by {} into {} on topic \
             \"{other_topic}\", which was left out of a change, so keys would lose their order: \
             change the number on one of them with a program that reads only that topic, and run that \
             program until it is changed; or give the consumer another name",
            first.by, first.segments, other.by, other.segments
        );
        let error = if is_changing {
            Error::transient("dividing the consumer", problem)
        } else {
            Error::permanent("dividing the consumer", problem)
        };
        Err(error.of_consumer(&self.name))
    }

    /// Returns whether all topics change to this number of segments, or have it already.
    pub(super) fn all_change<B>(&self, bus: &mut B, to: u16) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let changes = |division: Option<Division>| {
            division.is_some_and(|it| it.resize.map_or(it.segments, |resize| resize.to) == to)
        };
        Ok(self.divisions(bus)?.into_iter().all(changes))
    }
}
