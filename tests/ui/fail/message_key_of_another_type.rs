use persisting_message_bus::MessageKey;

#[derive(MessageKey)]
struct Weight(f64);

fn main() {
    let _ = Weight(1.0);
}
