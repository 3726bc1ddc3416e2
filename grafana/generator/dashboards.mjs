// All dashboards, in the order in which one looks.
import sale from "./dashboards/sale.mjs";
import engine from "./dashboards/engine.mjs";
import load from "./dashboards/load.mjs";
import outside from "./dashboards/outside.mjs";

export const DASHBOARDS = [...sale, ...engine, ...outside, ...load];
