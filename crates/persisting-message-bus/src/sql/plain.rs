use std::any::Any;

/// A connection of one of Diesel's own types.
#[cfg(feature = "r2d2")]
pub trait Plain: diesel::r2d2::R2D2Connection + 'static {}

#[cfg(feature = "r2d2")]
impl<P: diesel::r2d2::R2D2Connection + 'static> Plain for P {}

/// A connection of one of Diesel's own types.
#[cfg(not(feature = "r2d2"))]
pub trait Plain: 'static {}

#[cfg(not(feature = "r2d2"))]
impl<P: 'static> Plain for P {}

/// Returns the connection of Diesel's own type `P`: the connection itself, or the one that a pool
/// has lent.
#[cfg(feature = "r2d2")]
pub(super) fn plain<P, C>(connection: &mut C) -> Option<&mut P>
where
    P: Plain,
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
pub(super) fn plain<P: Plain, C: 'static>(connection: &mut C) -> Option<&mut P> {
    let connection: &mut dyn Any = connection;
    connection.downcast_mut()
}
