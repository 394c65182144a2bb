//! The shipped scenarios, and what people see when one does not hold.

mod shipped;
