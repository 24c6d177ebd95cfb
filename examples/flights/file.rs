//! Reads the lines of the file as messages.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use chrono::{DateTime, Utc};
use csv::{ByteRecord, Reader};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::topic::{Flight, FlightArrived, FlightCancelled, FlightDeparted, Flights};

/// A line. The fields of events that did not happen are empty or `NA`.
#[derive(Deserialize)]
struct Line<'a> {
    dep_time: &'a str,
    dep_delay: &'a str,
    arr_time: &'a str,
    arr_delay: &'a str,
    carrier: &'a str,
    flight: u32,
    origin: &'a str,
    dest: &'a str,
    time_hour: DateTime<Utc>,
}

/// The lines of a file.
pub struct FlightsFile {
    reader: Reader<Box<dyn Read>>,
    headers: ByteRecord,
    record: ByteRecord,
}

impl FlightsFile {
    /// Opens a file. `watch` wraps its reader, and sees the bytes as they are read.
    pub fn open<W>(path: &Path, watch: impl FnOnce(File) -> W) -> Result<Self, Box<dyn Error>>
    where
        W: Read + 'static,
    {
        let mut file = File::open(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
        let mut start = Vec::new();
        file.by_ref().take(2).read_to_end(&mut start)?;
        file.rewind()?;
        let bytes = BufReader::with_capacity(1 << 16, watch(file));
        let text: Box<dyn Read> = if start == [0x1f, 0x8b] {
            Box::new(MultiGzDecoder::new(bytes))
        } else {
            Box::new(bytes)
        };
        let mut reader = Reader::from_reader(text);
        let headers = reader.byte_headers()?.clone();
        Ok(Self {
            reader,
            headers,
            record: ByteRecord::new(),
        })
    }

    /// Skips this many lines, or fewer if the file ends.
    pub fn skip(&mut self, lines: u64) -> Result<(), Box<dyn Error>> {
        for _ in 0..lines {
            self.reader.read_byte_record(&mut self.record)?;
        }
        Ok(())
    }

    /// Appends the messages of the next lines, and returns the number of lines.
    pub fn read(&mut self, lines: usize, into: &mut Vec<Flights>) -> Result<u64, Box<dyn Error>> {
        let mut read = 0;
        while read < lines as u64 && self.reader.read_byte_record(&mut self.record)? {
            let line: Line<'_> = self.record.deserialize(Some(&self.headers))?;
            line.tell(into)?;
            read += 1;
        }
        Ok(read)
    }
}

impl Line<'_> {
    fn tell(&self, into: &mut Vec<Flights>) -> Result<(), Box<dyn Error>> {
        let flight = Flight {
            carrier: self.carrier.to_owned(),
            number: self.flight,
            origin: self.origin.to_owned(),
            destination: self.dest.to_owned(),
            scheduled: self.time_hour,
        };
        if let Some(_landed) = happened(self.arr_time) {
            let departed = FlightDeparted {
                flight: flight.clone(),
                delay_minutes: minutes(self.dep_delay)?,
            };
            let arrived = FlightArrived {
                flight,
                delay_minutes: minutes(self.arr_delay)?,
            };
            into.extend([departed.into(), arrived.into()]);
        } else if let Some(_left) = happened(self.dep_time) {
            let delay_minutes = minutes(self.dep_delay)?;
            into.push(
                FlightDeparted {
                    flight,
                    delay_minutes,
                }
                .into(),
            );
        } else {
            into.push(FlightCancelled { flight }.into());
        }
        Ok(())
    }
}

fn happened(field: &str) -> Option<&str> {
    Some(field).filter(|field| !field.is_empty() && *field != "NA")
}

fn minutes(field: &str) -> Result<Option<i64>, std::num::ParseIntError> {
    happened(field).map(str::parse).transpose()
}
