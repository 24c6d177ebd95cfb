//! Async closures that are called once, in futures that are `Send`.

/// An async closure with one argument, whose future has a name, so that a bound can require that it is
/// `Send`. Rust has no stable name for the future of [`AsyncFnOnce`].
pub trait OnceAsync<A, R>:
    AsyncFnOnce(A) -> R + FnOnce(A) -> <Self as OnceAsync<A, R>>::Done
{
    /// The future.
    type Done: Future<Output = R>;
}

impl<F, A, R, D> OnceAsync<A, R> for F
where
    F: AsyncFnOnce(A) -> R + FnOnce(A) -> D,
    D: Future<Output = R>,
{
    type Done = D;
}
