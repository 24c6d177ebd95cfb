use persisting_message_bus::MessageKey;

#[derive(MessageKey)]
enum OrderId {
    Number(u64),
}

fn main() {
    let _ = OrderId::Number(1);
}
