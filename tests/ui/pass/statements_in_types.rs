// Types can contain blocks.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Sized<const N: usize> {}
#[derive(Topic)]
#[allow(clippy::all)]
#[topic(name = "orders")]
enum Orders {
    Let(
        [u8; {
            let x = 2;
            x
        }],
    ),
    If(Sized<{ if true { 1 } else { 2 } }>),
    Match(
        [u8; match 3 {
            3 => 3,
            _ => 4,
        }],
    ),
    Closure(
        Sized<
            {
                const fn seven() -> usize {
                    7
                }
                seven()
            },
        >,
    ),
    Loop(
        Box<
            [u8; {
                let mut n = 0;
                loop {
                    n += 1;
                    if n > 4 {
                        break;
                    }
                }
                n
            }],
        >,
    ),
    Item(
        [u8; {
            struct Inner;
            impl Inner {
                const N: usize = 9;
                const M: usize = Self::N;
            }
            Inner::M
        }],
    ),
    Block([u8; { 'a: { break 'a 8 } }]),
    Unsafe(
        [u8; {
            let _f = |x: u8| x;
            12
        }],
    ),
}

fn main() {
    let _ = Orders::from([0; 2]);
}
