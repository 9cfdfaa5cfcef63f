// What is handed over is declared where it is handed over; whoever imports this module finds it by the names it has here.
@_exported public import Handoff

/// Hands connections to one other process, from any thread.
public typealias HandoffSender = ParcelSender

/// A connection that has been taken out of its channel, on its way between threads. It is taken once; one that nobody takes
/// is closed.
public typealias DetachedConnection = ParcelBox
