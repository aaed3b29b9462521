-- AlterTable
ALTER TABLE "machines" ADD COLUMN "department_id" INTEGER;

-- CreateIndex
CREATE INDEX "machines_department_id_idx" ON "machines"("department_id");

-- AddForeignKey
ALTER TABLE "machines" ADD CONSTRAINT "machines_department_id_fkey" FOREIGN KEY ("department_id") REFERENCES "departments"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
