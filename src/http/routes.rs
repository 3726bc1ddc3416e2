//! Every route of the API, in one table: the router, the metrics and the API's description are made from it.

use crate::http::app::App;
use crate::http::call::bind;
use crate::http::ops::{claims, hot, node, outbox, shop, trouble};
use crate::http::spec::Spec;
use crate::http::{
    attention, audit, carts, docs, fulfilment, holds, log_filter, noop, orders, payments, skus, stock, stream, work,
};
use actix_web::web::ServiceConfig;
use std::rc::Rc;

macro_rules! routes {
    ($( $route:ident = $module:ident :: $spec:ident => $handler:ident; )+) => {
        /// One route.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Route {
            $(
                #[doc = concat!("[`", stringify!($module), "::", stringify!($handler), "`]")]
                $route
            ),+
        }

        impl Route {
            /// All of them, in the order in which the router tries them.
            pub const ALL: &'static [Route] = &[$(Route::$route),+];

            /// What it is.
            #[must_use]
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $(Route::$route => {
                        const SPEC: Spec = $module::$spec;
                        &SPEC
                    })+
                }
            }

            fn register(self, services: &mut ServiceConfig, app: &Rc<App>) {
                match self {
                    $(Route::$route => bind(services, app, self, $module::$handler)),+
                }
            }
        }
    };
}

// The router tries them from the top: the busiest come first.
routes! {
    PlaceOrder = orders::PLACE => place;
    ReadOrder = orders::READ => read;
    ReadAvailability = skus::READ_AVAILABILITY => read_availability;
    Noop = noop::NOOP => noop;
    PutLine = carts::PUT_LINE => put_line;
    CheckOut = carts::CHECK_OUT => check_out;
    OpenCart = carts::OPEN => open;
    ReadCart = carts::READ => read;
    DeleteLine = carts::DELETE_LINE => delete_line;
    PutHold = holds::PUT => put;
    ReadHold = holds::READ => read;
    DeleteHold = holds::DELETE => delete;
    PayAgain = payments::PAY => pay;
    CancelOrder = payments::CANCEL => cancel;
    RefundOrder = payments::REFUND => refund;
    ShipOrder = fulfilment::SHIP => ship;
    ReturnOrder = fulfilment::RETURN => take_back;
    AcknowledgeAttention = attention::ACKNOWLEDGE => acknowledge;
    ListOrders = orders::LIST => list;
    PutSku = skus::PUT => put;
    ReadSku = skus::READ => read;
    ReceiveStock = stock::RECEIVE => receive;
    AdjustStock = stock::ADJUST => adjust;
    ListMovements = stock::MOVEMENTS => movements;
    PauseSale = stock::PAUSE => pause;
    ResumeSale = stock::RESUME => resume;
    ReadShop = shop::READ => read;
    PauseShop = shop::PAUSE => pause;
    ResumeShop = shop::RESUME => resume;
    ListActions = shop::ACTIONS => actions;
    ReadNode = node::READ => read;
    DrainNode = node::DRAIN => drain;
    UndrainNode = node::UNDRAIN => undrain;
    HotSkus = hot::READ => read;
    ListHolds = claims::LIST => list;
    ReleaseHold = claims::RELEASE => release;
    ListOutbox = outbox::LIST => list;
    ReplayOutbox = outbox::REPLAY => replay;
    ReadFaults = trouble::READ => read;
    PutFaults = trouble::PUT => put;
    OpenWork = work::OPEN => open;
    AnswerWork = work::ANSWER => answer;
    ShipWork = work::SHIP => ship;
    StreamAvailability = stream::STREAM => stream;
    Audit = audit::READ => read;
    ReadLogFilter = log_filter::READ => read;
    PutLogFilter = log_filter::PUT => put;
    OpenApi = docs::OPENAPI => openapi;
    DocsHome = docs::HOME => home;
    Docs = docs::FILES => files;
}

/// Hands all routes to the router.
pub fn register(services: &mut ServiceConfig, app: &Rc<App>) {
    for route in Route::ALL.iter().filter(|route| app.measure || !route.spec().measure) {
        route.register(services, app);
    }
}

/// The methods that this path takes; empty when there is no such path.
#[must_use]
pub fn methods_of(path: &str, measure: bool) -> Vec<&'static str> {
    let served = Route::ALL.iter().map(|route| route.spec()).filter(|spec| measure || !spec.measure);
    served.filter(|spec| is_path(spec.path, path)).map(|spec| spec.method.as_str()).collect()
}

fn is_path(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(name), Some(_)) if name.contains(":.*") => return true,
            (Some(name), Some(segment)) if name.starts_with('{') && !segment.is_empty() => {}
            (Some(name), Some(segment)) if name == segment => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::methods_of;

    #[test]
    fn a_path_knows_its_methods() {
        assert_eq!(methods_of("/v1/orders", false), ["POST", "GET"]);
        assert_eq!(methods_of("/v1/skus/hoodie-m/holds/x", false), ["PUT", "GET", "DELETE"]);
        assert_eq!(methods_of("/docs/index.html", false), ["GET"]);
        assert!(methods_of("/v1/orders/", false).is_empty());
        assert!(methods_of("/v1/noop", false).is_empty() && !methods_of("/v1/noop", true).is_empty());
    }
}
