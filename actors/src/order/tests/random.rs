//! An order under random commands, answers and ticks.

use super::*;
