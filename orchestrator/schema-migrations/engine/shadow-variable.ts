/** The variable that names a shadow database where the configuration names none: of a user who may make none. */
export const shadowVariable = 'HOLDFAST_SHADOW_DATABASE_URL';
