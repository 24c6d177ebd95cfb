use persisting_message_bus::MessageKey;

#[derive(MessageKey)]
#[message_key(text)]
struct OrderId(u64);

fn main() {
    let _ = OrderId(1);
}
