/* walls.h: the broker's walls as a plan; tests/jail stands behind the same ones. */
#ifndef SALLYPORT_BROKER_WALLS_H
#define SALLYPORT_BROKER_WALLS_H

#include "jail.h"
#include "sallyport/conf.h"

#define BROKER_PATHS_MAX 24

/* The plan for these settings: the store's folder is one of its paths. The conf must outlive the plan. */
struct broker_walls {
	struct jail jail;
	struct jail_path paths[BROKER_PATHS_MAX];
	char store_folder[4096];
};
[[nodiscard]] int broker_walls_make(const struct conf *conf, struct broker_walls *out_walls, struct diag *diag);

#endif
