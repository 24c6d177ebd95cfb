use std::any::Any;

/// Returns the connection of Diesel's own type `P`: the connection itself, or the one that a pool
/// has lent.
#[cfg(feature = "r2d2")]
pub(super) fn plain<P, C>(connection: &mut C) -> Option<&mut P>
where
    P: diesel::r2d2::R2D2Connection + 'static,
    C: 'static,
{
    type Pooled<P> = diesel::r2d2::PooledConnection<diesel::r2d2::ConnectionManager<P>>;
    let connection: &mut dyn Any = connection;
    if connection.is::<Pooled<P>>() {
        return connection
            .downcast_mut::<Pooled<P>>()
            .map(|pooled| &mut **pooled);
    }
    connection.downcast_mut()
}

/// Returns the connection, if it is of Diesel's own type `P`.
#[cfg(not(feature = "r2d2"))]
pub(super) fn plain<P: 'static, C: 'static>(connection: &mut C) -> Option<&mut P> {
    let connection: &mut dyn Any = connection;
    connection.downcast_mut()
}
