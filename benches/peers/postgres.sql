-- What a shop keeps in PostgreSQL: stock by SKU, and orders.
-- Room in every page of `stock` lets an update stay on its page and leave the index alone.
CREATE TABLE stock (sku int PRIMARY KEY, units int NOT NULL) WITH (fillfactor = 50);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku int NOT NULL,
    buyer bigint NOT NULL,
    units int NOT NULL,
    unit_price bigint NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO stock SELECT sku, 2000000000 FROM generate_series(0, 999) AS sku;
