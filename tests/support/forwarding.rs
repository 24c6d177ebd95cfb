//! Sources that change some methods of another source.

/// Writes methods of a `MessageSource` that call the same methods of another source.
///
/// ```ignore
/// forward_source! { |this| this.messages => head, last_position, read_page }
/// ```
#[macro_export]
macro_rules! forward_source {
    (|$this:ident| $source:expr => $($method:ident),+ $(,)?) => {
        $($crate::forward_source! { @$method |$this| $source })+
    };
    (@high_water_mark |$this:ident| $source:expr) => {
        fn high_water_mark(
            &mut self,
            topic: &str,
            observations: &mut ::persisting_message_bus::backend::SlotObservations,
        ) -> Result<::persisting_message_bus::Position, ::persisting_message_bus::Error> {
            let $this = self;
            $source.high_water_mark(topic, observations)
        }
    };
    (@head |$this:ident| $source:expr) => {
        fn head(
            &mut self,
            topic: &str,
            high_water_mark: ::persisting_message_bus::Position,
        ) -> Result<::persisting_message_bus::backend::MessageAt, ::persisting_message_bus::Error> {
            let $this = self;
            $source.head(topic, high_water_mark)
        }
    };
    (@ids_at |$this:ident| $source:expr) => {
        fn ids_at(
            &mut self,
            topic: &str,
            positions: [::persisting_message_bus::Position; 2],
        ) -> Result<[Option<::uuid::Uuid>; 2], ::persisting_message_bus::Error> {
            let $this = self;
            $source.ids_at(topic, positions)
        }
    };
    (@last_position |$this:ident| $source:expr) => {
        fn last_position(
            &mut self,
        ) -> Result<::persisting_message_bus::Position, ::persisting_message_bus::Error> {
            let $this = self;
            $source.last_position()
        }
    };
    (@read_page |$this:ident| $source:expr) => {
        fn read_page(
            &mut self,
            request: &::persisting_message_bus::backend::PageRequest<'_>,
            receive: &mut dyn FnMut(
                &::persisting_message_bus::backend::StoredMessage<'_>,
            ) -> ::std::ops::ControlFlow<()>,
        ) -> Result<::persisting_message_bus::backend::MessageAt, ::persisting_message_bus::Error> {
            let $this = self;
            $source.read_page(request, receive)
        }
    };
}
